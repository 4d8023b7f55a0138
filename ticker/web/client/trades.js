/** The tape of an instrument: each of its trades once. */

import { eventOf } from "./events.js";
import { GivenLog } from "./given.js";
import { TableReader } from "./table_reader.js";

/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./given.js").Owed<import("./rows.js").Print>} OwedPrint */
/** @typedef {import("./replica.js").Replica} Replica */
/** @typedef {import("./rows.js").Print} Print */

/**
 * A trade, as it is printed on the tape.
 *
 * - `number`: the service's own number of it, one by one for each instrument
 * - `size`: 0 if the venue has declared the trade void
 * - `time`: the exchange's, and `timeUs` the same in microseconds since 1970 UTC
 * - `side`: that which took the liquidity, if it is known; `id`: the venue's name of it, if it has one
 * - `missed`: prints right before this one that are lost to this reader, because it was away or did not read for too long
 * - `correction`: the reader has had a print with this number before: the venue has changed it, and this one counts
 * - `restarted`: the numbers begin anew with this print, as the service has: nobody counted the prints in between
 * @typedef {{
 *   readonly number: number, readonly price: string, readonly size: string, readonly time: Date, readonly timeUs: number,
 *   readonly side: "buy" | "sell" | null, readonly id: string | number | null,
 *   readonly missed: number, readonly correction: boolean, readonly restarted: boolean,
 * }} Trade
 */
/** @typedef {Event & {trades: readonly Trade[]}} TradesEvent */

/** @type {readonly Print[]} */
const NO_PRINTS = Object.freeze([]);

/** @param {OwedPrint} owed @returns {Trade} */
function tradeOf({ row, missed, correction, restarted }) {
  const { number, price, size, time, side, id } = row;
  return Object.freeze({ number, price, size, time: new Date(time / 1000), timeUs: time, side, id, missed, correction, restarted });
}

/** @param {Print} print */
const numberOf = ({ number }) => number;

/**
 * The trades of an instrument. Made by `Client.trades`.
 *
 * Listen to `change`, or iterate: both begin with the latest trades that there are, as many as were asked for, and have each
 * later one once. A loop that is too slow misses the oldest of those that it has not had, and is told how many: the client
 * keeps as many as the table has.
 * @extends {TableReader<Trade, {change: TradesEvent}>}
 */
export class Trades extends TableReader {
  #count;
  #prints = NO_PRINTS;
  /** @type {readonly Trade[] | undefined} */
  #latest;
  /**
   * What the listeners have been given.
   * @type {GivenLog<Print>}
   */
  #told = new GivenLog(numberOf);
  /**
   * What the iterators have been given.
   * @type {GivenLog<Print>}
   */
  #given = new GivenLog(numberOf);
  /**
   * Trades that the iterators are owed, no more than the table has.
   * @type {OwedPrint[]}
   */
  #queue = [];
  #owed = true;

  /**
   * @param {Replica} copy
   * @param {string} symbol
   * @param {number} count
   * @param {(reader: Trades) => void} closed
   */
  constructor(copy, symbol, count, closed) {
    super(copy, symbol, { kind: "trades", rows: count, period: "" }, () => closed(this));
    this.#count = count;
  }

  /**
   * The latest trades, as many as were asked for, the last one last: the same array until there is another.
   * @returns {readonly Trade[]}
   */
  get latest() {
    this.#latest ??= Object.freeze(
      this.#prints.slice(-this.#count).map((row) => tradeOf({ row, missed: 0, correction: false, restarted: false })),
    );
    return this.#latest;
  }

  /**
   * @internal
   * @override
   * @param {Readonly<Fields>} present
   * @param {boolean} touched
   */
  changed({ trades = NO_PRINTS }, touched) {
    if (!touched || trades === this.#prints) return;
    this.#prints = trades;
    this.#latest = undefined;
    this.#owed = true;
    const owed = this.#told.owed(trades, this.copy.run, this.#count);
    if (owed.length > 0) this.dispatchEvent(eventOf("change", { trades: Object.freeze(owed.map(tradeOf)) }));
  }

  /**
   * @internal
   * @override
   */
  takeItem() {
    if (this.#queue.length === 0 && this.#owed) {
      this.#owed = false;
      this.#queue = this.#given.owed(this.#prints, this.copy.run, this.#count);
    }
    const next = this.#queue.shift();
    return next && tradeOf(next);
  }
}
