/** The bars of an instrument: those that are there, and each later one as it changes and closes. */

import { barEnd, filled, periodSeconds } from "./bar_times.js";
import { eventOf } from "./events.js";
import { GivenLog } from "./given.js";
import { TableReader } from "./table_reader.js";

/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./given.js").Owed<Row>} OwedBar */
/** @typedef {import("./replica.js").Replica} Replica */
/** @typedef {import("./rows.js").Bar} Row */
/**
 * The trades of one period, from `start` on, in seconds since 1970 UTC. `volume`, and `trades`, the number of trades, are
 * null if they are not known, as of bars made of quotes. `correction`: the loop has had this bar before: a trade came late,
 * and this one counts.
 * @typedef {{
 *   readonly start: number, readonly open: string, readonly high: string, readonly low: string, readonly close: string,
 *   readonly volume: string | null, readonly trades: number | null, readonly correction: boolean,
 * }} Candle
 */
/** @typedef {Event & {bars: readonly Candle[]}} CandlesEvent */
/**
 * A bar for a charting library.
 * @typedef {{time: number, open: number, high: number, low: number, close: number}} Point
 */
/**
 * A series of a charting library, such as lightweight-charts: its data are set once, and then updated from the last bar on.
 * @template [Data=Point]
 * @typedef {{setData(data: Data[]): unknown, update(bar: Data): unknown}} Series
 */

const SECOND = 1_000_000;

/** @type {readonly Row[]} */
const NO_ROWS = Object.freeze([]);

/** @param {Row} row */
const startOf = ({ start }) => start;

/** @param {Row} row @param {boolean} correction @returns {Candle} */
const candleOf = ({ start, open, high, low, close, volume, count }, correction) =>
  Object.freeze({ start, open, high, low, close, volume, trades: count, correction });

/** @param {Candle} bar @returns {Point} */
export const pointOf = ({ start, open, high, low, close }) =>
  ({ time: start, open: Number(open), high: Number(high), low: Number(low), close: Number(close) });

/**
 * The latest bars of an instrument. Made by `Client.candles`.
 *
 * `bars` are those of the present moment, the last of which is still open. Listeners to `change` get each bar that changed. A
 * loop has each *closed* bar once: at first those that there are, then each as it closes, by the service's clock. A bar that
 * changes when it is closed comes again, as a `correction`.
 *
 * With `fill`, periods without a trade have bars too: their prices are the last close, their volume is 0.
 * @extends {TableReader<Candle, {change: CandlesEvent}>}
 */
export class Candles extends TableReader {
  #seconds;
  #count;
  #fill;
  /** @type {readonly Row[]} */
  #table = NO_ROWS;
  /** @type {readonly Row[]} */
  #rows = NO_ROWS;
  /**
   * The bar of each row.
   * @type {WeakMap<Row, Candle>}
   */
  #made = new WeakMap();
  /**
   * Filled rows by the row before them and their start.
   * @type {WeakMap<Row, Map<number, Row>>}
   */
  #empty = new WeakMap();
  /** Start of the latest period, in its own length. */
  #period = -1;
  /** When the last bar closes, in microseconds. */
  #closes = 0;
  /** @type {GivenLog<Row>} */
  #given = new GivenLog(startOf);
  /**
   * Closed bars that the iterators are owed, no more than the table has.
   * @type {OwedBar[]}
   */
  #queue = [];
  #owed = true;

  /**
   * The latest bars, as many as were asked for, the last one last: the same array until a bar of it changes.
   * @type {readonly Candle[]}
   */
  bars = Object.freeze([]);

  /**
   * @param {Replica} copy
   * @param {string} symbol
   * @param {string} period
   * @param {number} count
   * @param {boolean} fill
   * @param {(reader: Candles) => void} closed
   */
  constructor(copy, symbol, period, count, fill, closed) {
    super(copy, symbol, { kind: "candles", rows: count, period }, () => closed(this));
    this.#seconds = periodSeconds(period);
    this.#count = count;
    this.#fill = fill;
  }

  /**
   * Show the bars in a chart: `setData` with those that there are, then `update` for each that changes. Returns a function that
   * ends this.
   * @template [Data=Point]
   * @param {Series<Data>} series
   * @param {(bar: Candle) => Data} [dataOf] by default `{ time, open, high, low, close }`, as numbers
   */
  bindTo(series, dataOf = /** @type {(bar: Candle) => Data} */ (/** @type {unknown} */ (pointOf))) {
    let last = -Infinity;
    let count = 0;
    /** @param {readonly Candle[]} changed */
    const show = (changed) => {
      if (changed.length === 0) return;
      // Libraries update the last bar or add one behind it: for an earlier one, or after some are gone (those made of quotes,
      // with the first trade), the data are set again.
      if (changed[0].start < last || last === -Infinity || this.bars.length < count) series.setData(this.bars.map(dataOf));
      else for (const bar of changed) series.update(dataOf(bar));
      last = this.bars[this.bars.length - 1].start;
      count = this.bars.length;
    };
    show(this.bars);
    /** @param {CandlesEvent} event */
    const listener = ({ bars }) => show(bars);
    this.addEventListener("change", listener);
    return () => this.removeEventListener("change", listener);
  }

  /**
   * @internal
   * @override
   * @param {Readonly<Fields>} present
   */
  changed({ candles = NO_ROWS }) {
    const period = Math.floor(this.timeUs / (this.#seconds * SECOND));
    if (candles === this.#table && !(this.#fill && period !== this.#period)) {
      if (this.timeUs >= this.#closes) this.#owed = true;
      return;
    }
    this.#table = candles;
    this.#period = period;
    this.#rows = this.#fill ? this.#filled(candles) : candles;
    this.#owed = true;
    const earlier = new Set(this.bars);
    this.bars = Object.freeze(this.#rows.slice(-this.#count).map((row) => this.#bar(row)));
    const bars = this.bars.filter((bar) => !earlier.has(bar));
    if (bars.length > 0) this.dispatchEvent(eventOf("change", { bars: Object.freeze(bars) }));
  }

  /**
   * @internal
   * @override
   */
  takeItem() {
    if (this.#queue.length === 0 && this.#owed) {
      this.#owed = false;
      this.#queue = this.#given.owed(this.#closedRows(), this.copy.run, this.#count);
    }
    const next = this.#queue.shift();
    return next && (next.correction ? candleOf(next.row, true) : this.#bar(next.row));
  }

  #closedRows() {
    const last = this.#rows.at(-1);
    if (!last) return NO_ROWS;
    const end = barEnd(last.start, this.#seconds) * SECOND;
    this.#closes = end > this.timeUs ? end : Infinity;
    return end <= this.timeUs ? this.#rows : this.#rows.slice(0, -1);
  }

  /** @param {readonly Row[]} rows */
  #filled(rows) {
    const now = Math.floor(this.timeUs / SECOND);
    return filled(rows, this.#seconds, now, this.table.rows, (row, start) => this.#emptyRow(row, start));
  }

  /**
   * The same row for a period, as long as the row before it is the same.
   * @param {Row} row
   * @param {number} start
   */
  #emptyRow(row, start) {
    let made = this.#empty.get(row);
    if (!made) this.#empty.set(row, (made = new Map()));
    const { close, volume, count } = row;
    let empty = made.get(start);
    if (!empty) {
      const nothing = { volume: volume && "0", count: count === null ? null : 0 };
      made.set(start, (empty = Object.freeze({ start, open: close, high: close, low: close, close, ...nothing })));
    }
    return empty;
  }

  /** @param {Row} row */
  #bar(row) {
    let bar = this.#made.get(row);
    if (!bar) this.#made.set(row, (bar = candleOf(row, false)));
    return bar;
  }
}
