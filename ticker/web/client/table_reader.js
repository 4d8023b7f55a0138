/** What a book, trades and candles have in common for their reader: one table, and a status that is not too good. */

import { Completion } from "./completion.js";
import { TypedEventTarget } from "./events.js";
import { offered } from "./features.js";
import { Iterators } from "./iterators.js";
import { tableOf, tableText } from "./tables.js";

/** @typedef {import("./errors.js").TickerError} TickerError */
/** @typedef {import("./features.js").Features} Features */
/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./replica.js").Replica} Replica */
/** @typedef {import("./tables.js").TableName} TableName */
/** @typedef {"live" | "stale" | "halted" | "closed"} Status */

/** @type {Readonly<Fields>} */
const NO_TABLE = Object.freeze({ status: "stale", reason: "no_data" });

/**
 * A table of one instrument, as a reader sees it. What it shows is always of one moment: the present one or, while a
 * connection is made again, the last one before.
 * @template Item
 * @template Events
 * @extends {TypedEventTarget<Events>}
 */
export class TableReader extends TypedEventTarget {
  #symbol;
  #wanted;
  #closed;
  #name;
  /** @type {Iterators<Item>} */
  #iterators = new Iterators(() => (this.held ? undefined : this.takeItem()));
  #completion = new Completion();
  #lost = true;
  #known = false;
  /** @type {Readonly<Fields>} */
  #present = NO_TABLE;
  #cut = 0;
  #timeUs = 0;

  /**
   * @param {Replica} copy
   * @param {string} symbol
   * @param {TableName} wanted
   * @param {() => void} closed called when the user closes it
   */
  constructor(copy, symbol, wanted, closed) {
    super();
    /** @internal */
    this.copy = copy;
    this.#symbol = symbol;
    this.#wanted = wanted;
    this.#name = tableText(symbol, wanted);
    this.#closed = closed;
    /**
     * Whether changes wait for the rest of their moment.
     * @internal
     */
    this.held = true;
  }

  /** The name of the table: `BTC-USD book:10`. */
  get name() {
    return this.#name;
  }

  /** @internal */
  get names() {
    return [this.#name];
  }

  /** A table comes whole. @internal @returns {undefined} */
  get fields() {
    return undefined;
  }

  /** @internal */
  get table() {
    return /** @type {TableName} */ (tableOf(this.#name));
  }

  /**
   * As the service says, and `stale` while there is no connection.
   * @returns {Status}
   */
  get status() {
    return this.#lost || this.#iterators.over ? "stale" : /** @type {Status} */ (this.#present.status ?? "live");
  }

  /** The cause in a word, unless the status is `live`; `reconnecting` while there is no connection. */
  get reason() {
    return this.#lost && this.#known ? "reconnecting" : this.#present.reason;
  }

  /** The number of the moment that it shows. */
  get cut() {
    return this.#cut;
  }

  /** The time of that moment, by the service's clock. */
  get time() {
    return new Date(this.#timeUs / 1000);
  }

  /** The same time in microseconds since 1970 UTC. */
  get timeUs() {
    return this.#timeUs;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /**
   * The next item, once there is one; done when this or the client was closed. Rejects with a TickerError if the client gave
   * up, or the service does not have the table.
   * @returns {Promise<IteratorResult<Item, undefined>>}
   */
  next() {
    return this.#iterators.next();
  }

  /**
   * Wait until the service has sent all that it has; for a symbol that it does not know (yet), that is nothing. Rejects as
   * `next` does.
   */
  complete() {
    return this.#completion.wait();
  }

  /** Unsubscribe. */
  close() {
    if (this.#iterators.over) return;
    this.#closed();
    this.held = true; // what no iterator took yet is dropped
    this.end();
  }

  /**
   * Choose the table with at least the wanted number of rows. Raises TickerError if the service has none.
   * @internal
   * @param {Features} features
   */
  choose(features) {
    this.#name = tableText(this.#symbol, offered(features, this.#wanted));
  }

  /**
   * A message has come, which changed tables of these names.
   * @internal
   * @param {unknown} _changes of instruments
   * @param {string[]} tables
   */
  take(_changes, tables) {
    if (!this.held) this.#show(tables.includes(this.#name));
  }

  /** @internal */
  lose() {
    if (this.#lost) return;
    this.#lost = true;
    this.changed(this.#present, true);
    if (!this.held) this.#iterators.deliver();
  }

  /** @internal */
  hold() {
    this.held = true;
    this.#lost = true;
    this.#completion.hold();
  }

  /** @internal */
  release() {
    this.held = this.#lost = false;
    this.#known = true;
    this.#completion.release();
    this.#show(true);
  }

  /**
   * @internal
   * @param {TickerError} [error]
   */
  end(error) {
    this.#iterators.end(error);
    this.#completion.end(error);
  }

  /** @param {boolean} touched */
  #show(touched) {
    this.#cut = this.copy.cursor;
    this.#timeUs = this.copy.time;
    if (touched) this.#present = this.copy.find(this.#name)?.present() ?? NO_TABLE;
    this.changed(this.#present, touched);
    this.#iterators.deliver();
  }

  /**
   * Show the table as it is now. Without `touched` only time has passed.
   * @internal
   * @param {Readonly<Fields>} _present
   * @param {boolean} _touched
   */
  changed(_present, _touched) {}

  /**
   * What an iterator gets next; undefined if there is nothing now.
   * @internal
   * @returns {Item | undefined}
   */
  takeItem() {
    return undefined;
  }
}
