// Quotes by symbol: exact values as the service sent them, and values derived from these when they are asked for.

import { places, signed, signedPercent, spaced } from "./format.js";

const number = (text) => (text === undefined || text === null ? NaN : Number(text));
const PRICES = ["bid", "ask", "last"];
const REFERENCES = { prev_close: "the previous close", open: "the opening price" };

export class Quote {
  #digits = 0;
  #withdrawn = null;
  #live = false; // kept, since it is asked of all quotes several times a second

  constructor(symbol) {
    this.symbol = symbol;
    this.values = Object.create(null);
    this.version = 0; // grows with each change: a row compares it with the version that it shows
    this.known = false; // the service has sent values
    this.problem = ""; // why there are no values
    this.status = "live";
    this.since = null; // Date of the last change of status, if it is known
  }

  /** Apply fields that changed at a time (null: withdrawn). */
  apply(fields, time) {
    const before = this.values.status;
    for (const name in fields) {
      const value = fields[name];
      if (value === null) {
        if (name in this.values) (this.#withdrawn ??= new Map()).set(name, time);
        delete this.values[name];
      } else {
        this.values[name] = value;
        this.problem = ""; // not where values go, as of a name that is left out
        this.#withdrawn?.delete(name);
      }
    }
    this.status = this.values.status ?? "live";
    if (fields.status !== undefined && fields.status !== before) this.#statusChanged(time);
    this.known = true;
    this.version += 1;
    this.#live = this.state === "live" && this.#hasPrice;
  }

  /** The last trade's price; where there are no trades, the middle of bid and ask. */
  get price() {
    const last = number(this.values.last);
    if (!Number.isNaN(last)) return last;
    const [bid, ask] = [number(this.values.bid), number(this.values.ask)];
    return Number.isNaN(bid) ? ask : Number.isNaN(ask) ? bid : (bid + ask) / 2;
  }

  get #hasPrice() {
    const { last, bid, ask } = this.values;
    return (last ?? bid ?? ask) !== undefined;
  }

  /** The most decimal places that its prices have had. */
  get digits() {
    const text = this.values.last ?? this.values.bid ?? this.values.ask;
    if (text !== undefined) this.#digits = Math.max(this.#digits, places(String(text)));
    return this.#digits;
  }

  /** The field from which the change is counted: one that the feed gave, or null. */
  get referenceField() {
    for (const field in REFERENCES) if (!Number.isNaN(number(this.values[field]))) return field;
    return null;
  }

  /** What the change is counted from, in words: "the previous close". */
  get referenceName() {
    return REFERENCES[this.referenceField] ?? "";
  }

  get reference() {
    const field = this.referenceField;
    return field === null ? NaN : number(this.values[field]);
  }

  get change() {
    return this.price - this.reference;
  }

  get ratio() {
    return this.change / Math.abs(this.reference);
  }

  get changeText() {
    return signed(this.change, this.digits);
  }

  get percentText() {
    return signedPercent(this.ratio);
  }

  get spread() {
    return number(this.values.ask) - number(this.values.bid);
  }

  /** Where between the low and the high of the day the price is: 0 is the low, 1 the high. */
  get dayRange() {
    const [low, high] = [number(this.values.low), number(this.values.high)];
    return high > low ? Math.min(1, Math.max(0, (this.price - low) / (high - low))) : NaN;
  }

  /** When the service withdrew a value that it had given; undefined if it did not. */
  withdrawnAt(field) {
    return this.#withdrawn?.get(field);
  }

  /** Whether its price is the market's present one, as far as the service knows. */
  get live() {
    return this.#live && !this.problem;
  }

  /** What is shown of its state: live, stale, halted, closed, unknown, withdrawn. */
  get state() {
    if (this.problem) return "unknown";
    return this.status === "live" && this.#withdrawn !== null && this.#withdrawnPrices.length > 0 ? "withdrawn" : this.status;
  }

  /** Remarks on the instrument's state; none if it is live. */
  get remarks() {
    if (this.problem) return [this.problem];
    const withdrawn = this.#withdrawnPrices;
    const gone = withdrawn.length > 0 ? [`${withdrawn.join(", ")} withdrawn`] : [];
    if (this.status === "live") return gone;
    return [this.status, spaced(this.values.reason), ...gone].filter(Boolean);
  }

  get #withdrawnPrices() {
    return this.#withdrawn === null ? [] : PRICES.filter((field) => this.#withdrawn.has(field));
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

  /** Apply a change. Returns the symbols that were not known. */
  apply(change) {
    const fresh = [];
    for (const symbol in change.changes) {
      if (symbol.includes(" ")) continue; // a table
      const quote = this.of(symbol);
      if (!quote.known) fresh.push(symbol);
      quote.apply(change.changes[symbol], change.time);
    }
    return fresh;
  }

  /** Drop the symbols that do not match. */
  retain(matches) {
    for (const symbol of this.#quotes.keys()) if (!matches(symbol)) this.#quotes.delete(symbol);
  }
}
