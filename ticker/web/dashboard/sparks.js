// The past of the rows' small charts: closes of the last minutes, read from the service for the rows that are visible.
//
// One request has the bars of a screenful. It opens no table and needs no subscription, so that thousands of pages with a list
// in common, each scrolled elsewhere, go on sharing the bytes of their prices. The point after the last bar is the present price.

import { get } from "./http.js";

const BARS = 50;
const FEW_BARS = 10; // bring a known past up to date
const ROWS_PER_REQUEST = 2000; // a request with more rows is answered in parts
const EVERY_MS = 60_000;
const AGAIN_MS = 10_000;
const SETTLE_MS = 120; // rows that fly past are not read
const BARS_PER_SECOND = 1500; // three fifths of what the service grants one user: the chart and other tabs ask as well
const MAX_KEPT = 1000;

/** The closes of a symbol's latest bars, in the order of time. */
class Past {
  starts = [];
  closes = [];
  readAt = -Infinity;

  /** Add bars, of which some may be known; an open one has another close now. */
  merge(candles) {
    for (const { start, close } of candles) {
      while (this.starts.length > 0 && this.starts.at(-1) >= start) this.starts.pop();
      this.starts.push(start);
      this.closes.length = this.starts.length - 1;
      this.closes.push(Number(close));
    }
    const beyond = Math.max(0, this.starts.length - BARS);
    this.starts.splice(0, beyond);
    this.closes.splice(0, beyond);
  }
}

export class Sparks {
  #past = new Map(); // by symbol, the one that was wanted longest ago first
  #wanted = [];
  #timer = 0;
  #reading = false;
  #notBefore = 0;

  /** `client()` is the present client; `changed` is called when small charts have to be drawn again. */
  constructor(client, changed) {
    this.client = client;
    this.changed = changed;
    document.addEventListener("visibilitychange", () => this.#schedule(0));
  }

  /** These symbols are visible. */
  show(symbols) {
    if (symbols.length === this.#wanted.length && symbols.every((symbol, index) => symbol === this.#wanted[index])) return;
    this.#wanted = symbols;
    this.#schedule(SETTLE_MS);
  }

  /** There is a connection (again): what was read before it may have ended early. */
  refresh() {
    for (const past of this.#past.values()) past.readAt = -Infinity;
    this.#schedule(0);
  }

  /** The closes of a symbol, the oldest first; undefined if they are not known (yet). */
  of(symbol) {
    return this.#past.get(symbol)?.closes;
  }

  #schedule(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#read(), Math.max(ms, this.#notBefore - performance.now()));
  }

  async #read() {
    if (this.#reading || document.hidden) return;
    const table = this.#table();
    if (table === null) return;
    this.#reading = true;
    let again = EVERY_MS;
    try {
      const now = performance.now();
      const due = this.#wanted.filter((symbol) => !((now - this.#past.get(symbol)?.readAt) < EVERY_MS / 2));
      // Of a past that is short, the service may have got more since: its feeds bring bars after they have begun.
      const isKnown = (symbol) => this.of(symbol)?.length === BARS && now - this.#past.get(symbol).readAt < FEW_BARS * EVERY_MS * 0.8;
      await this.#readRows(table(BARS), due.filter((symbol) => !isKnown(symbol)));
      await this.#readRows(table(FEW_BARS), due.filter(isKnown));
      if (this.#wanted.some((symbol) => !this.#past.has(symbol))) again = SETTLE_MS;
    } catch ({ retryMs = 0 }) {
      again = AGAIN_MS; // the list itself says what is wrong
      if (retryMs > 0) this.#notBefore = performance.now() + Math.max(AGAIN_MS, retryMs); // whatever is shown meanwhile
    } finally {
      this.#reading = false;
      this.#schedule(again);
    }
  }

  /** The table with at least so many bars of the shortest period; null if there are no candles. */
  #table() {
    const { periods, rows } = this.client()?.features?.candles ?? { periods: [], rows: [] };
    if (rows.length === 0 || periods.length === 0) return null;
    const period = periods.includes("1m") ? "1m" : periods[0];
    return (least) => ({ period, rows: rows.find((each) => each >= least) ?? rows.at(-1) });
  }

  async #readRows({ period, rows }, symbols) {
    const most = Math.max(1, Math.floor(ROWS_PER_REQUEST / rows));
    for (let at = 0; at < symbols.length; at += most) {
      const part = symbols.slice(at, at + most);
      const name = (symbol) => `${symbol} candles:${period}:${rows}`;
      const { instruments } = await get("v1/snapshot", { symbols: part.map(name).join() });
      this.#notBefore = Math.max(this.#notBefore, performance.now()) + (part.length * rows * 1000) / BARS_PER_SECOND;
      for (const symbol of part) this.#keep(symbol, instruments[name(symbol)]?.candles ?? []);
      this.changed();
    }
  }

  #keep(symbol, candles) {
    const past = this.#past.get(symbol) ?? new Past();
    past.merge(candles);
    past.readAt = performance.now();
    this.#past.delete(symbol);
    this.#past.set(symbol, past);
    if (this.#past.size > MAX_KEPT) this.#past.delete(this.#past.keys().next().value);
  }
}
