/** An order book: its best levels, always of one moment. */

import { eventOf } from "./events.js";
import { TableReader } from "./table_reader.js";

/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./replica.js").Replica} Replica */
/** @typedef {import("./rows.js").Level} Level */
/** @typedef {Event & {book: Book}} BookEvent */

/** @type {readonly Level[]} */
const NO_LEVELS = Object.freeze([]);

/**
 * The best levels of an instrument's order book. Made by `Client.book`.
 *
 * Listen to `change`, or iterate: the loop runs once at first, and again after each change of a level or of the status. A
 * loop that is too slow for that skips moments, and always sees the present one.
 * @extends {TableReader<Book, {change: BookEvent}>}
 */
export class Book extends TableReader {
  #depth;
  /** @type {readonly Level[]} */
  #allBids = NO_LEVELS;
  /** @type {readonly Level[]} */
  #allAsks = NO_LEVELS;
  #shown = "";
  #owed = true;

  /**
   * Price and size at which there are buyers, the highest price first: the same array until a level of it changes.
   * @type {readonly Level[]}
   */
  bids = NO_LEVELS;
  /**
   * Price and size at which there are sellers, the lowest price first: the same array until a level of it changes.
   * @type {readonly Level[]}
   */
  asks = NO_LEVELS;

  /**
   * @param {Replica} copy
   * @param {string} symbol
   * @param {number} depth
   * @param {(reader: Book) => void} closed
   */
  constructor(copy, symbol, depth, closed) {
    super(copy, symbol, { kind: "book", rows: depth, period: "" }, () => closed(this));
    this.#depth = depth;
  }

  /**
   * @internal
   * @override
   * @param {Readonly<Fields>} present
   * @param {boolean} touched
   */
  changed({ bids = NO_LEVELS, asks = NO_LEVELS }, touched) {
    if (!touched) return;
    const [earlierBids, earlierAsks] = [this.bids, this.asks];
    if (bids !== this.#allBids) this.bids = this.#best((this.#allBids = bids), earlierBids);
    if (asks !== this.#allAsks) this.asks = this.#best((this.#allAsks = asks), earlierAsks);
    const shown = `${this.status} ${this.reason}`;
    if (this.bids === earlierBids && this.asks === earlierAsks && shown === this.#shown) return; // it lies below
    this.#shown = shown;
    this.#owed = true;
    this.dispatchEvent(eventOf("change", { book: this }));
  }

  /**
   * @internal
   * @override
   */
  takeItem() {
    if (!this.#owed) return undefined;
    this.#owed = false;
    return this;
  }

  /**
   * The best levels, as the same array if they are the same.
   * @param {readonly Level[]} levels
   * @param {readonly Level[]} earlier
   */
  #best(levels, earlier) {
    const best = levels.length <= this.#depth ? levels : Object.freeze(levels.slice(0, this.#depth));
    return best.length === earlier.length && best.every((level, index) => level === earlier[index]) ? earlier : best;
  }
}
