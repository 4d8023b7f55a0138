// The columns of the list: those that there are, those that the user chose, and which of these fit.

import { compact, grouped, moment, NONE, signed } from "./format.js";
import { load, save } from "./storage.js";

const KEY = "ticker.columns";
const VERSION = 1;
const DENSITIES = ["comfortable", "compact"];

const number = (text) => (text === undefined || text === null ? NaN : Number(text));
const exact = (id, title, more = {}) => ({
  ...{ id, title, least: 8, kind: "number", field: id },
  text: ({ values }) => grouped(values[id] === undefined ? undefined : String(values[id])),
  value: ({ values }) => number(values[id]),
  ...more,
});
const price = (id, title) => exact(id, title, { kind: "price" });
const metadata = (id, title) => ({
  ...{ id, title, least: 6, kind: "text" },
  text: ({ symbol }, facts) => facts.metadata(symbol)[id] ?? NONE,
  value: ({ symbol }, facts) => facts.metadata(symbol)[id] ?? "",
});

/** All columns beside the symbol's. `least` is the least number of characters that they have room for. */
export const COLUMNS = [
  price("bid", "Bid"),
  price("ask", "Ask"),
  price("last", "Last"),
  { id: "change", title: "Change", short: "Chg", least: 9, kind: "change", text: (quote) => quote.changeText, value: (quote) => quote.change },
  { id: "percent", title: "%", least: 8, kind: "change", text: (quote) => quote.percentText, value: (quote) => quote.ratio },
  { id: "spark", title: "Trend", least: 0, kind: "spark" },
  exact("volume", "Volume", { short: "Vol", least: 7, text: ({ values }) => compact(values.volume) }),
  { id: "spread", title: "Spread", least: 6, kind: "number", text: (quote) => spreadText(quote), value: (quote) => quote.spread },
  exact("bid_size", "Bid size"),
  exact("ask_size", "Ask size"),
  exact("last_size", "Last size"),
  exact("open", "Open"),
  exact("high", "High"),
  exact("low", "Low"),
  { id: "range", title: "Day range", short: "Range", least: 6, kind: "number", text: ({ dayRange }) => rangeText(dayRange), value: ({ dayRange }) => dayRange },
  exact("prev_close", "Prev. close"),
  exact("trade_count", "Trades", { least: 6 }),
  {
    ...{ id: "time", title: "Exchange time", least: 8, kind: "number" },
    text: ({ values }) => (typeof values.time === "number" ? moment(new Date(values.time / 1000)) : NONE),
    value: ({ values }) => number(values.time),
  },
  metadata("venue", "Venue"),
  metadata("currency", "Currency"),
];

const SYMBOL = { id: "symbol", title: "Symbol", kind: "text", value: ({ symbol }) => symbol };
const DEFAULT = ["last", "change", "percent", "spark", "bid", "ask", "volume"]; // where room is short, the last ones go first
const byId = new Map([SYMBOL, ...COLUMNS].map((column) => [column.id, column]));

function spreadText(quote) {
  const { spread, digits } = quote;
  return Number.isNaN(spread) ? NONE : signed(spread, digits).replace(/^[▲▼] \+?/, "");
}

/** Where in the day's range a price is, from its low to its high. */
function rangeText(share) {
  return Number.isNaN(share) ? NONE : `${Math.round(share * 100)} %`;
}

/** The column with an id; undefined if there is none. */
export const columnOf = (id) => byId.get(id);

const isChoice = (value) =>
  Array.isArray(value?.ids) && value.ids.every((id) => byId.has(id) && id !== "symbol") && DENSITIES.includes(value.density);

/** The chosen columns in their order, and the density; kept between visits. */
export class ColumnChoice extends EventTarget {
  constructor() {
    super();
    const kept = load(KEY, VERSION, isChoice);
    this.ids = [...new Set(kept?.ids ?? DEFAULT)];
    this.density = kept?.density ?? DENSITIES[0];
  }

  get columns() {
    return this.ids.map((id) => byId.get(id));
  }

  /** Show a column, at the end, or no longer. */
  toggle(id, shown) {
    this.#set(shown ? [...this.ids.filter((each) => each !== id), id] : this.ids.filter((each) => each !== id), this.density);
  }

  /** Move a column by a number of places. */
  move(id, by) {
    const from = this.ids.indexOf(id);
    const to = from + by;
    if (from < 0 || to < 0 || to >= this.ids.length) return false;
    this.#set(this.ids.toSpliced(from, 1).toSpliced(to, 0, id), this.density);
    return true;
  }

  useDensity(density) {
    if (DENSITIES.includes(density)) this.#set(this.ids, density);
  }

  reset() {
    this.#set(DEFAULT, DENSITIES[0]);
  }

  #set(ids, density) {
    this.ids = ids;
    this.density = density;
    save(KEY, VERSION, { ids, density });
    this.dispatchEvent(new Event("change"));
  }
}

/** Sort lines by a column; those without a value come last, in either direction. Patterns' heads stay on top. */
export function sortLines(lines, { id, descending }, facts) {
  const { value } = columnOf(id);
  const heads = lines.filter((line) => line.symbol === null);
  const keyed = lines.filter((line) => line.symbol !== null).map((line) => ({ line, key: value(line.quote, facts) }));
  const isMissing = (key) => key === "" || Number.isNaN(key);
  const sign = descending ? -1 : 1;
  keyed.sort(({ key: one }, { key: other }) => {
    if (one === other) return 0;
    const [lacks, otherLacks] = [isMissing(one), isMissing(other)];
    if (lacks || otherLacks) return Number(lacks) - Number(otherLacks);
    return one < other ? -sign : sign;
  });
  return [...heads, ...keyed.map(({ line }) => line)];
}
