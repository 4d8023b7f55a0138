// The bars of one symbol and period: the latest are those of the service's table, kept up to date; older ones are read from its
// history when somebody looks there. Nothing here is made of what the page has seen.

import { get } from "./http.js";
import { reasonOf } from "./room.js";

const LATEST = 300;
const OLDER = 500; // in a request
const MOST = 20_000; // kept in the page
const AGAIN_MS = 5_000;

/** A bar with its numbers; `candle` has the exact texts. */
const parsed = (candle) => ({
  start: candle.start,
  open: Number(candle.open),
  high: Number(candle.high),
  low: Number(candle.low),
  close: Number(candle.close),
  volume: candle.volume === null ? NaN : Number(candle.volume),
  candle,
});

export class Bars {
  #reader = null;
  #bars = [];
  #exhausted = false;
  #readingSince = 0; // of the series that is being read; 0 if none is
  #series = 1; // another one, once bars were taken away
  #failedAt = -Infinity;
  #closed = false;

  /** Why there are none, or no older ones. */
  problem = "";
  /** Whether the service has said what there is. */
  complete = false;

  /** `changed(appended)` is called when bars came, `appended` of them at the end; it is NaN when the series began anew. */
  constructor(client, symbol, period, changed) {
    this.client = client;
    this.symbol = symbol;
    this.period = period;
    this.changed = changed;
    const { rows } = client.features.candles;
    try {
      this.#reader = client.candles(symbol, period, rows.find((each) => each >= LATEST) ?? rows.at(-1));
    } catch (error) {
      this.#completed(reasonOf(error));
      return;
    }
    this.#reader.addEventListener("change", (event) => this.#take(event.bars));
    this.#reader.complete().then(
      () => this.#completed(""),
      (error) => this.#completed(reasonOf(error)),
    );
  }

  get length() {
    return this.#bars.length;
  }

  at(index) {
    return this.#bars[index];
  }

  /** What the bars are made of: `trades`, `last`, or `bid`. */
  get source() {
    return this.client.instrument(this.#reader?.name)?.metadata.from ?? "";
  }

  get exhausted() {
    return this.#exhausted;
  }

  get reading() {
    return this.#readingSince === this.#series;
  }

  /** Read older bars, if there may be some. */
  async readOlder() {
    if (this.#exhausted || this.reading || this.#bars.length === 0 || performance.now() - this.#failedAt < AGAIN_MS) return;
    const series = (this.#readingSince = this.#series);
    const before = this.#bars[0].start;
    try {
      const { candles, more } = await get("v1/candles", { symbol: this.symbol, period: this.period, before, count: OLDER });
      if (this.#closed || series !== this.#series) return;
      this.#bars = [...candles.filter(({ start }) => start < before).map(parsed), ...this.#bars];
      this.#exhausted = !more || candles.length === 0 || this.#bars.length >= MOST;
      this.problem = "";
    } catch (error) {
      this.#failedAt = performance.now();
      this.problem = `older bars: ${error.message}`;
      setTimeout(() => this.#askAgain(), AGAIN_MS + 100);
    } finally {
      if (this.#readingSince === series) this.#readingSince = 0;
      if (!this.#closed) this.changed(0);
    }
  }

  /** The chart, once it is told, asks for older bars if it still wants some, although no price may change. */
  #askAgain() {
    if (this.#closed) return;
    this.problem = "";
    this.changed(0);
  }

  close() {
    this.#closed = true;
    this.#reader?.close();
  }

  #completed(problem) {
    if (this.#closed) return;
    this.complete = true;
    this.problem = problem;
    this.changed(0);
  }

  #take(candles) {
    const table = this.#reader.bars;
    const known = this.#bars.length;
    // Between what was known and a table that begins later, there may be bars that nobody has brought.
    const joined = known > 0 && table.length > 0 && this.#bars[known - 1].start >= table[0].start;
    const appended = joined ? this.#merge(candles) : NaN;
    // Bars may also be gone: those made of quotes are, with the first trade.
    if (joined && this.#bars.length - this.#indexOf(table[0].start) === table.length) {
      this.#trim();
      this.changed(appended);
      return;
    }
    this.#bars = table.map(parsed);
    this.#exhausted = false;
    this.#series += 1;
    this.changed(NaN);
  }

  /** Put bars in their places; returns how many are new at the end. */
  #merge(candles) {
    const before = this.#bars.at(-1).start;
    for (const candle of candles) {
      const at = this.#indexOf(candle.start);
      this.#bars.splice(at, this.#bars[at]?.start === candle.start ? 1 : 0, parsed(candle));
    }
    return candles.filter(({ start }) => start > before).length;
  }

  /** The index of the first bar that does not start before a time. */
  #indexOf(start) {
    let [low, high] = [0, this.#bars.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#bars[middle].start < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #trim() {
    const beyond = this.#bars.length - MOST - OLDER;
    if (beyond <= 0) return;
    this.#bars.splice(0, beyond);
    this.#exhausted = true;
  }
}
