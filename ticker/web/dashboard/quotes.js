// Quotes by symbol: exact values as the service sent them, and values derived from these.

import { places, signed, signedPercent } from "./format.js";
import { PriceHistory } from "./history.js";

const number = (text) => (text === undefined || text === null ? NaN : Number(text));

export class Quote {
  constructor(symbol) {
    this.symbol = symbol;
    this.values = Object.create(null);
    this.version = 0; // grows with each change: a row compares it with the version that it shows
    this.known = false; // the service has sent values
    this.problem = ""; // why there are no values
    this.status = "live";
    this.since = null; // Date of the last change of status, if it is known
    this.first = NaN;
    this.digits = 0; // decimal places of its prices
    this.history = new PriceHistory();
  }

  /** Apply fields that changed at a time (null: withdrawn). */
  apply(fields, time, now) {
    const before = this.values.status;
    for (const name in fields) {
      const value = fields[name];
      if (value === null) delete this.values[name];
      else this.values[name] = value;
    }
    this.status = this.values.status ?? "live";
    if (fields.status !== undefined && fields.status !== before) this.#statusChanged(time);
    this.known = true;
    this.problem = "";
    this.version += 1;
    const price = this.price;
    if (Number.isNaN(price)) return;
    if (Number.isNaN(this.first)) this.first = price;
    this.digits = Math.max(this.digits, places(String(this.values.last ?? this.values.bid)));
    this.history.push(now, price);
  }

  /** The last trade's price; where there are no trades, the middle of bid and ask. */
  get price() {
    const last = number(this.values.last);
    if (!Number.isNaN(last)) return last;
    const [bid, ask] = [number(this.values.bid), number(this.values.ask)];
    return Number.isNaN(bid) ? ask : Number.isNaN(ask) ? bid : (bid + ask) / 2;
  }

  /** Reference of the day's change: the previous close, else the opening price, else the first price seen here. */
  get reference() {
    const close = number(this.values.prev_close);
    if (!Number.isNaN(close)) return close;
    const open = number(this.values.open);
    return Number.isNaN(open) ? this.first : open;
  }

  get change() {
    return this.price - this.reference;
  }

  get changeText() {
    return signed(this.change, this.digits);
  }

  get percentText() {
    return signedPercent(this.change / Math.abs(this.reference));
  }

  /** Remarks on the instrument's status; none if it is live. */
  get remarks() {
    if (this.problem) return [this.problem];
    if (this.status === "live") return [];
    return [this.status, this.values.reason].filter(Boolean);
  }

  #statusChanged(time) {
    if (this.known) this.since = time;
    else {
      // The status is older than this page: the time of the last price is the only hint.
      const last = this.values.time;
      this.since = typeof last === "number" ? new Date(last / 1000) : null;
    }
  }
}

export class Quotes {
  #quotes = new Map();

  get symbols() {
    return this.#quotes.keys();
  }

  of(symbol) {
    let quote = this.#quotes.get(symbol);
    if (quote === undefined) {
      quote = new Quote(symbol);
      this.#quotes.set(symbol, quote);
    }
    return quote;
  }

  get(symbol) {
    return this.#quotes.get(symbol);
  }

  /** Apply a change. Returns whether it has a symbol that was not known. */
  apply(change) {
    const now = Date.now();
    let more = false;
    for (const symbol in change.changes) {
      if (symbol.includes(" ")) continue; // a table
      const quote = this.of(symbol);
      more ||= !quote.known;
      quote.apply(change.changes[symbol], change.time, now);
    }
    return more;
  }

  /** Leave a gap in all histories: there is no connection. */
  pause() {
    const now = Date.now();
    for (const quote of this.#quotes.values()) quote.history.push(now, NaN);
  }

  /** Drop the symbols that do not match. */
  retain(matches) {
    for (const symbol of this.#quotes.keys()) if (!matches(symbol)) this.#quotes.delete(symbol);
  }
}
