/** The client: subscriptions, values and requests over a connection that lasts. */

import { checkCounts, checkOptions, checkPeriod, checkTable, subscribed } from "./arguments.js";
import { Book } from "./book.js";
import { Candles } from "./candles.js";
import { TickerError } from "./errors.js";
import { TypedEventTarget, changeOf, eventOf } from "./events.js";
import { errorOf } from "./http.js";
import { describe, foundInAnswer, foundInReply } from "./instruments.js";
import { Notices } from "./notices.js";
import { TIMING, basesOf } from "./options.js";
import { Pending } from "./pending.js";
import { Readers } from "./readers.js";
import { Reconnector } from "./reconnector.js";
import { Requests } from "./requests.js";
import { ClientSession } from "./session.js";
import { Subscription } from "./subscription.js";
import { isPattern, matcherOf } from "./symbols.js";
import { Trades } from "./trades.js";

/** @typedef {import("./events.js").ClientEvents} ClientEvents */
/** @typedef {import("./events.js").State} State */
/** @typedef {import("./events.js").StateChange} StateChange */
/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./http.js").End} End */
/** @typedef {import("./messages.js").Message} Message */
/** @typedef {import("./messages.js").Outcome} Outcome */
/** @typedef {import("./instruments.js").Found} Found */
/** @typedef {import("./options.js").Options} Options */
/** @typedef {import("./options.js").Timing} Timing */
/** @typedef {import("./session.js").Received} Received */
/** @typedef {import("./requests.js").RequestFields} RequestFields */
/** @typedef {import("./verdict.js").Verdict} Verdict */
/** @typedef {import("./readers.js").AnyTable} AnyTable */
/** @typedef {import("./readers.js").Reader} Reader */
/** @typedef {import("./options.js").SubscribeOptions} SubscribeOptions */

/** @type {Readonly<Fields>} */
const NO_VALUES = Object.freeze(Object.create(null));

/** @type {Record<string, ChangedFields>} */
const NO_CHANGES = Object.freeze(Object.create(null));

/**
 * Connect to a service, and stay connected until `close`.
 * @param {import("./options.js").Addresses} [url] https or wss://HOST:PORT, or several such addresses of one service: when a
 *   connection fails or is lost, the next one is tried; in a page, its own origin if left out
 * @param {Options} [options]
 * @returns {Client}
 * @throws {TickerError} if the address or an option cannot be used
 */
export function connect(url = globalThis.location?.origin, options = {}) {
  return new Client(basesOf(url), options);
}

/**
 * A connection to a service that lasts until `close`.
 * @extends {TypedEventTarget<ClientEvents>}
 */
export class Client extends TypedEventTarget {
  #session;
  #notices;
  #reconnector;
  #updates = 0;
  #readers;
  /** Changes for the listeners of the client itself. */
  #changes;
  #requests = new Requests();
  /** @type {TickerError | undefined} */
  #error;

  /**
   * @param {readonly string[]} bases
   * @param {Options} options
   * @param {Timing} timing
   */
  constructor(bases, options, timing = TIMING) {
    super();
    checkOptions(options);
    const session = new ClientSession(options.intervalMs);
    this.#session = session;
    this.#readers = new Readers(session);
    this.#changes = new Pending(session.replica);
    this.#notices = new Notices(this, () => this.#unmatched(), timing.unmatchedMs);
    this.#reconnector = new Reconnector(bases, options, timing, session, {
      state: (state, more, end) => this.#became(state, more, end),
      message: (message, received) => this.#process(message, received),
      refused: (outcomes) => this.#refuse(outcomes),
      failed: (end) => this.#requests.fail(errorOf(end)),
    });
  }

  /** @returns {State} */
  get state() {
    return this.#reconnector.state;
  }

  /** The address of the present connection, or of the next attempt. */
  get url() {
    return this.#reconnector.base;
  }

  /** The transport of the present connection, or of the next attempt. */
  get transport() {
    return this.#reconnector.transport;
  }

  /** The cut through which the copy is complete. */
  get cut() {
    return this.#session.replica.cursor;
  }

  /** Time of that cut. */
  get time() {
    return new Date(this.#session.replica.time / 1000);
  }

  /** Time since when the server hears nothing from the source of its data; null if it does, as far as is known. */
  get sourceSilentSince() {
    const since = this.#session.sourceSilentSince;
    return since === null ? null : new Date(since / 1000);
  }

  /** Number of changed instruments received. */
  get updates() {
    return this.#updates;
  }

  /** Number of bytes of messages received (characters, of an event stream). */
  get bytes() {
    return this.#reconnector.bytes;
  }

  /** The seconds by which the server shows the market later than it is, because its licence says so; 0 in real time. */
  get delaySeconds() {
    return this.#session.features?.delay ?? 0;
  }

  /** The tables that the service offers; undefined before the first connection. */
  get features() {
    return this.#session.features;
  }

  /**
   * The most names that a connection may have, and the most tables and patterns among them; undefined where the service
   * has not told it, as before the first connection.
   * @returns {{symbols: number | undefined, tables: number | undefined, patterns: number | undefined}}
   */
  get limits() {
    const [symbols, tables, patterns] = ["max_symbols", "max_tables", "max_patterns"].map((name) => this.#session.limits.get(name));
    return { symbols, tables, patterns };
  }

  /**
   * Subscribe symbols, tables (`EURUSD book:10`) and patterns. With more names than one connection may have it raises, or,
   * if the limit is not known yet, the subscription ends with that error. A name that the service refuses, such as a table
   * that it does not offer, is told of with `refused`, and the others go on.
   *
   * With `fields` (`subscribe("EUR*", { fields: ["bid", "ask"] })`) it has only these of instruments, with `status` and
   * `reason`; only what the subscriptions of this client want together is sent, and in `values`. Tables come whole.
   * @param {string[] | [...names: string[], options: SubscribeOptions]} given names, perhaps with options behind them
   * @throws {TickerError} for names that are no texts, fields that cannot be, and too many names
   */
  subscribe(...given) {
    const { names, fields } = subscribed(given);
    checkCounts(new Set([...this.#session.wanted, ...names]), this.#session.limits);
    const held = !this.#session.hasAllOf(names, fields);
    const { replica } = this.#session;
    const subscription = new Subscription(names, replica, held, (closed) => this.#giveUp(closed), fields);
    if (this.state === "closed") {
      subscription.end(this.#error);
      return subscription;
    }
    this.#readers.add(subscription);
    this.#reconnector.synchronize();
    return subscription;
  }

  /**
   * Subscribe to the best levels of an instrument's order book. The service has books of certain depths: the next larger
   * one is taken, and `depth` levels of it are shown.
   * @param {string} symbol
   * @param {number} [depth]
   * @throws {TickerError} if the service has no such book; before the first connection the book ends with that error
   */
  book(symbol, depth = 10) {
    checkTable("book", symbol, "depth", depth);
    return this.#read(new Book(this.#session.replica, symbol, depth, (closed) => this.#giveUp(closed)));
  }

  /**
   * Subscribe to the trades of an instrument, beginning with the latest `count`.
   * @param {string} symbol
   * @param {number} [count]
   * @throws {TickerError} for more than the service keeps, as `book` does
   */
  trades(symbol, count = 50) {
    checkTable("trades", symbol, "count", count);
    return this.#read(new Trades(this.#session.replica, symbol, count, (closed) => this.#giveUp(closed)));
  }

  /**
   * Subscribe to the latest `count` bars of an instrument. With `fill`, periods without a trade have bars as well.
   * @param {string} symbol
   * @param {string} [period] one of those that the service has: `1m`, `1h`
   * @param {number} [count]
   * @param {{fill?: boolean}} [options]
   * @throws {TickerError} for a period that does not exist and for more bars than the service keeps, as `book` does
   */
  candles(symbol, period = "1m", count = 300, { fill = false } = {}) {
    checkTable("candles", symbol, "count", count);
    checkPeriod(period);
    const { replica } = this.#session;
    return this.#read(new Candles(replica, symbol, period, count, fill, (closed) => this.#giveUp(closed)));
  }

  /**
   * The present values of an instrument, or rows of a table; empty if there are none. It is the same, frozen, object until a
   * value changes.
   * @param {string} symbol
   * @returns {Readonly<Fields>}
   */
  values(symbol) {
    return this.#session.replica.find(symbol)?.present() ?? NO_VALUES;
  }

  /**
   * A present value as a number, for charts; NaN if there is none.
   * @param {string} symbol
   * @param {string} field
   */
  number(symbol, field) {
    return Number(this.values(symbol)[field] ?? NaN);
  }

  /**
   * The definition of a subscribed instrument.
   * @param {string} symbol
   */
  instrument(symbol) {
    const known = this.#session.replica.definition(symbol);
    return known && describe(known);
  }

  /**
   * At most 500 instruments of the service, ordered by symbol, that come after the symbol `after`; with `text`, those that have all of its
   * words in their symbol, name, venue or currency, in any case.
   * @param {string} [match]
   * @param {{after?: string, text?: string}} [options]
   * @returns {Promise<Found>}
   */
  async search(match = "*", { after = "", text = "" } = {}) {
    const wanted = { match, after, ...(text && { text }) };
    if (this.#reconnector.ready) return foundInReply(await this.#request("instruments", wanted));
    const query = new URLSearchParams(wanted);
    return foundInAnswer(await this.#reconnector.found(`/v1/instruments?${query}`));
  }

  /**
   * Counters of this connection (PROTOCOL.md, section 5); WebSocket only.
   * @returns {Promise<Record<string, number>>}
   */
  async stats() {
    return Object.fromEntries(/** @type {Map<string, number>} */ (await this.#request("stats", {})));
  }

  /** The round trip in milliseconds; WebSocket only. */
  async ping() {
    const sent = performance.now();
    await this.#request("ping", {});
    return performance.now() - sent;
  }

  /**
   * Compare the copy with the service's, by a checksum of all that this client should hold; WebSocket only. Returns whether
   * they are equal. If not, the client dispatches `mismatch`, drops the copy, and subscribes everything anew.
   * @returns {Promise<boolean>}
   */
  async verify() {
    if (this.features && !this.features.digest) throw new TickerError("verify: the service gives no checksum of a copy");
    const { equal } = /** @type {Verdict} */ (await this.#ask("digest", {}));
    if (equal === undefined) throw new TickerError("verify: the copy and the checksum are of different cuts; try again");
    return equal;
  }

  /** End all subscriptions and the connection. */
  close() {
    this.#reconnector.finish();
  }

  /**
   * @param {string} op
   * @param {RequestFields} fields
   */
  async #request(op, fields) {
    return /** @type {Map<string, unknown>} */ (await this.#ask(op, fields));
  }

  /**
   * @param {string} op
   * @param {RequestFields} fields
   */
  #ask(op, fields) {
    if (!this.#reconnector.ready) return Promise.reject(new TickerError(`${op}: there is no WebSocket at the moment`));
    const request = this.#session.request(op, fields);
    const result = this.#requests.result(request.id);
    this.#reconnector.send(request);
    return result;
  }

  /**
   * Keep a table up to date from now on.
   * @template {AnyTable} Table
   * @param {Table} reader
   * @returns {Table}
   */
  #read(reader) {
    if (this.state === "closed") {
      reader.end(this.#error);
      return reader;
    }
    if (this.features) reader.choose(this.features);
    checkCounts(new Set([...this.#session.wanted, reader.name]), this.#session.limits);
    this.#readers.add(reader);
    this.#reconnector.synchronize();
    // The caller adds its listeners first.
    if (this.#session.hasAllOf(reader.names)) queueMicrotask(() => this.#readers.has(reader) && reader.release());
    return reader;
  }

  /** @param {Reader} reader */
  #giveUp(reader) {
    if (this.#readers.remove(reader)) this.#reconnector.synchronize();
  }

  /**
   * @param {State} state
   * @param {Omit<StateChange, "state">} more
   * @param {End | undefined} end
   */
  #became(state, more, end) {
    if (state === "connected") {
      this.#readers.connected();
      this.#changes.doubtTables();
      this.#notices.connected();
    } else this.#readers.lost();
    if (state === "waiting" && end) this.#notices.lost(end.reason);
    else if (state === "closed") {
      if (end) this.#notices.ended(end);
      this.#notices.close();
      this.#error = end && errorOf(end);
    }
    this.dispatchEvent(eventOf("state", { state, ...more }));
    if (state !== "closed") return;
    this.#readers.end(this.#error);
  }

  /**
   * @param {Message | null} message
   * @param {Received} received
   */
  #process(message, received) {
    if (message?.kind === "reply" || message?.kind === "error") this.#requests.settle(message, received.verdict);
    if (received.refused.length > 0) this.#refuse(received.refused);
    if (received.source) this.#hearOfSource();
    if (message) this.#publish(received);
    if (received.verdict?.equal === false) this.#discard(received.verdict.cut);
    if (!received.answered) return;
    this.#readers.answered();
    this.#notices.answered();
  }

  #hearOfSource() {
    const since = this.sourceSilentSince;
    this.#notices.source(since);
    this.dispatchEvent(eventOf("source", { since }));
  }

  /**
   * The copy is not what the server has at this cut.
   * @param {number} cut
   */
  #discard(cut) {
    this.#notices.mismatch(cut);
    this.dispatchEvent(eventOf("mismatch", { cut }));
    this.#session.discard();
    this.#reconnector.restart("the copy differs from the service's; everything is subscribed anew");
  }

  /** @param {Outcome[]} outcomes */
  #refuse(outcomes) {
    this.#notices.refused(outcomes);
    for (const each of outcomes) this.dispatchEvent(eventOf("refused", each));
    this.#readers.refused(outcomes);
    this.#reconnector.synchronize();
  }

  /** Names that the server keeps, and that no instrument of the copy has. */
  #unmatched() {
    const symbols = this.#session.replica.symbols;
    return this.#session.kept.filter((name) => {
      if (!isPattern(name)) return !this.#session.replica.find(name);
      const matches = matcherOf([name]);
      return !symbols.some(matches);
    });
  }

  /** @param {Received} received */
  #publish({ changes = NO_CHANGES, tables }) {
    const count = Object.keys(changes).length + tables.length;
    this.#updates += count;
    this.#readers.take(changes, tables);
    if (count === 0 || !this.hasListened("change")) return;
    this.#changes.add(changes, tables);
    const all = this.#changes.take();
    if (all) this.dispatchEvent(eventOf("change", { change: changeOf(this.#session.replica, all) }));
  }
}
