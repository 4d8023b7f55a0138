// What the page knows of each symbol: its values as they were sent, and what is computed from them.

import { places, signed, signedPercent } from "./format.js";
import { PriceHistory } from "./history.js";

const number = (text) => (text === undefined || text === null ? NaN : Number(text));

export class Quote {
  constructor(symbol) {
    this.symbol = symbol;
    this.values = Object.create(null);
    this.version = 0; // goes up with every change, so that a row knows whether it shows this
    this.known = false; // whether the service has sent anything of it
    this.problem = ""; // why it cannot be had
    this.status = "live";
    this.since = null; // a Date: when its status became what it is, as far as is known
    this.first = NaN;
    this.digits = 0; // decimal places of its prices
    this.history = new PriceHistory();
  }

  /** Take in changed fields (null: withdrawn), which became so at a time. */
  apply(fields, time, now) {
    const before = this.values.status;
    for (const name in fields) {
      const value = fields[name];
      if (value === null) delete this.values[name];
      else this.values[name] = value;
    }
    this.status = this.values.status ?? "live";
    if (fields.status !== undefined && fields.status !== before) this.#turned(time);
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

  /** What a change is counted from: yesterday's close, else the opening price, else the first seen here. */
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

  /** What there is to say of its state besides the price, as parts; none if it is live. */
  get remarks() {
    if (this.problem) return [this.problem];
    if (this.status === "live") return [];
    return [this.status, this.values.reason].filter(Boolean);
  }

  #turned(time) {
    if (this.known) this.since = time;
    else {
      // It was so before we looked: all that is known is when its last price was.
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

  /** Take in a change; true if it brought a symbol that was not known. */
  apply(change) {
    const now = Date.now();
    let more = false;
    for (const symbol in change.changes) {
      const quote = this.of(symbol);
      more ||= !quote.known;
      quote.apply(change.changes[symbol], change.time, now);
    }
    return more;
  }

  /** Nothing will be heard for a while. */
  pause() {
    const now = Date.now();
    for (const quote of this.#quotes.values()) quote.history.push(now, NaN);
  }

  /** Forget the symbols that are not wanted. */
  keep(wanted) {
    for (const symbol of this.#quotes.keys()) if (!wanted(symbol)) this.#quotes.delete(symbol);
  }
}
