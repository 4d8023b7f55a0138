/** All that the user of a client reads from, subscriptions and tables: kept up to date, and ended by what the server refuses. */

import { tooMany } from "./arguments.js";
import { Code, TickerError } from "./errors.js";
import { TableReader } from "./table_reader.js";
import { excerpt } from "./texts.js";

/** @typedef {import("./book.js").Book} Book */
/** @typedef {import("./candles.js").Candles} Candles */
/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./messages.js").Outcome} Outcome */
/** @typedef {import("./session.js").ClientSession} ClientSession */
/** @typedef {import("./subscription.js").Subscription} Subscription */
/** @typedef {import("./trades.js").Trades} Trades */
/** @typedef {Book | Candles | Trades} AnyTable */
/** @typedef {Subscription | AnyTable} Reader */

/** @type {Set<number>} */
const NO_ROOM = new Set([Code.TOO_MANY_SYMBOLS, Code.TOO_MANY_TABLES]);

export class Readers {
  #session;
  /** @type {Set<Reader>} */
  #readers = new Set();

  /** @param {ClientSession} session */
  constructor(session) {
    this.#session = session;
  }

  /**
   * Keep a reader up to date from now on.
   * @param {Reader} reader
   */
  add(reader) {
    this.#readers.add(reader);
    this.#session.want(reader.names, reader.fields);
  }

  /**
   * Whether a reader is kept up to date.
   * @param {Reader} reader
   */
  has(reader) {
    return this.#readers.has(reader);
  }

  /**
   * Give a reader up. Returns whether there was one.
   * @param {Reader} reader
   */
  remove(reader) {
    if (!this.#readers.delete(reader)) return false;
    this.#session.giveUp(reader.names, reader.fields);
    return true;
  }

  /** A new connection begins: what comes is a part only. With it, perhaps another service, other tables may be the best. */
  connected() {
    for (const reader of this.#readers) {
      reader.hold();
      if (reader instanceof TableReader) this.#choose(reader);
    }
  }

  /** There is no connection. */
  lost() {
    for (const reader of this.#readers) reader.lose();
  }

  /**
   * @param {Record<string, ChangedFields>} changes of instruments
   * @param {string[]} tables
   */
  take(changes, tables) {
    for (const reader of this.#readers) reader.take(changes, tables);
  }

  /** The server has answered: the copy may be complete for more of them. */
  answered() {
    for (const reader of this.#readers) {
      if (reader.held && this.#session.hasAllOf(reader.names, reader.fields)) reader.release();
    }
  }

  /**
   * Names were refused. Readers for which there is no room end, and tables that there are not.
   * @param {Outcome[]} outcomes
   */
  refused(outcomes) {
    /** @type {Map<string, TickerError>} */
    const errors = new Map();
    for (const { name, code, text } of outcomes) {
      const refusal = `${excerpt(name)} was refused: ${text}`;
      if (NO_ROOM.has(code)) errors.set(name, tooMany(refusal, code));
      else if (code === Code.UNKNOWN_TABLE) errors.set(name, new TickerError(refusal, code));
    }
    if (errors.size === 0) return;
    for (const reader of this.#readers) {
      const error = reader.names.map((name) => errors.get(name)).find((each) => each);
      if (!error || (error.code === Code.UNKNOWN_TABLE && !(reader instanceof TableReader))) continue;
      this.remove(reader);
      reader.end(error);
    }
  }

  /**
   * All is over.
   * @param {TickerError} [error]
   */
  end(error) {
    for (const reader of this.#readers) reader.end(error);
    this.#readers.clear();
  }

  /** @param {AnyTable} table */
  #choose(table) {
    const before = table.names;
    const { features } = this.#session;
    try {
      if (features) table.choose(features);
    } catch (error) {
      this.remove(table);
      return table.end(/** @type {TickerError} */ (error));
    }
    if (before[0] === table.name) return;
    this.#session.giveUp(before);
    this.#session.want(table.names);
  }
}
