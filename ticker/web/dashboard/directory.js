// The instruments of the service, read in pages, and searched here: in any case, by symbol, name, venue and currency.

import { containing, isPattern } from "./patterns.js";
import { matcher } from "../ticker.js";

const MOST_KEPT = 10_000; // more instruments are searched by the service
const FRESH_MS = 60_000;
const CATEGORIES = ["venue", "currency"];
const SEPARATORS = /[-/_.:]/g;

/** A text without case and accents. */
const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** An instrument with the forms of its texts that are compared. */
class Entry {
  constructor({ symbol, metadata }) {
    this.symbol = symbol;
    this.name = metadata.name ?? "";
    this.venue = metadata.venue ?? "";
    this.currency = metadata.currency ?? "";
    this.folded = fold(symbol);
    this.bare = this.folded.replace(SEPARATORS, "");
    this.foldedName = ` ${fold(this.name)}`;
    this.others = ` ${fold(`${this.venue} ${this.currency}`)} `;
  }

  /** How well a word fits: 0 is best; Infinity if it does not. */
  rank(word, bare) {
    if (this.folded === word) return 0;
    if (bare && this.bare === bare) return 1;
    if (this.folded.startsWith(word)) return 2;
    if (bare && this.bare.startsWith(bare)) return 3;
    if (this.foldedName.includes(` ${word}`)) return 4;
    if (this.folded.includes(word) || (bare && this.bare.includes(bare))) return 5;
    if (this.foldedName.includes(word)) return 6;
    return this.others.includes(` ${word}`) ? 7 : Infinity;
  }

  /** Whether the symbol or a word of the name is one slip of the finger from a word. */
  resembles(word) {
    return isNear(this.bare, word) || this.foldedName.split(" ").some((each) => isNear(each, word));
  }
}

export class Directory extends EventTarget {
  #find;
  #entries = [];
  #readAt = -Infinity;
  #reading = null;

  complete = false; // whether all instruments are known here
  large = false; // whether there are more than are kept

  /** `find(match, options)` is the client's search. */
  constructor(find) {
    super();
    this.#find = find;
  }

  /** Read the instruments, if those that are known are old. Waits until some are known; `read` says when all are. */
  async load() {
    if (performance.now() - this.#readAt < FRESH_MS) return;
    this.#reading ??= this.#read().finally(() => (this.#reading = null));
    if (this.#entries.length === 0) await this.#reading;
    else this.#reading.catch(() => {}); // what is known serves as well
  }

  /** What is known is old: there is another connection. */
  expire() {
    this.#readAt = -Infinity;
  }

  /** The symbol that somebody means by a text, in any case; undefined if there is none. */
  async symbolOf(text) {
    const folded = fold(text);
    const best = (entries) => entries.find(({ symbol }) => symbol === text) ?? entries.find((each) => each.folded === folded);
    const known = best(this.#entries);
    if (known) return known.symbol;
    const { instruments } = await this.#find(containing(text).slice(1, -1));
    return best(instruments.map((each) => new Entry(each)))?.symbol;
  }

  /** A pattern as typed, or in capitals if only these match; with the number of its matches: `{pattern, count, more}`. */
  async patternOf(text) {
    for (const pattern of new Set([text, text.toUpperCase()])) {
      const { count, more } = await this.#count(pattern);
      if (count > 0 || pattern === text.toUpperCase()) return { pattern: count > 0 ? pattern : text, count, more };
    }
  }

  /** Instruments that a text finds, the best first. Words like `venue:XNAS` narrow it. */
  async search(text) {
    const { words, filters } = wordsOf(text);
    const fits = (entry) => filters.every(([category, value]) => fold(entry[category]) === value);
    let found = ranked(this.#entries.filter(fits), words);
    if (found.length === 0 && words.length === 1 && words[0].length > 3) found = this.#entries.filter((entry) => fits(entry) && entry.resembles(words[0]));
    if (words.length === 0 || (this.complete && found.length > 0)) return found;
    const known = new Set(found.map(({ symbol }) => symbol));
    const others = [];
    // Of very many, the service has the first ones with these words: so what begins with them is asked for by itself.
    const [first] = words;
    const begins = this.complete ? [] : [this.#find(containing(first).slice(1))];
    for (const { instruments } of await Promise.all([...begins, this.#find("*", { text: words.join(" ").slice(0, 128) })])) {
      for (const each of instruments) {
        if (known.has(each.symbol)) continue;
        known.add(each.symbol);
        others.push(new Entry(each));
      }
    }
    return ranked([...found, ...others.filter(fits)], words);
  }

  /** Categories that a text begins to name, with the number of their instruments: `{category, value, count}`. */
  categories(text) {
    const counts = new Map();
    for (const entry of this.#entries) {
      for (const category of CATEGORIES) {
        const value = entry[category];
        if (!value || !fold(value).startsWith(fold(text))) continue;
        const key = `${category}:${value}`;
        const known = counts.get(key) ?? { category, value, count: 0 };
        counts.set(key, { ...known, count: known.count + 1 });
      }
    }
    return [...counts.values()].sort((one, other) => other.count - one.count);
  }

  async #count(pattern) {
    if (this.complete) return { count: this.#entries.filter(({ symbol }) => matches(symbol, pattern)).length, more: false };
    const { instruments, more } = await this.#find(pattern);
    return { count: instruments.length, more };
  }

  /** Read the first page; the others follow without being waited for. */
  async #read() {
    const { instruments, more } = await this.#find("*", { after: "" });
    const entries = instruments.map((each) => new Entry(each));
    if (this.#entries.length === 0) this.#entries = entries;
    if (!more) this.#end(entries, false);
    else this.#readOn(entries).catch(() => {}); // the next search tries it again
  }

  async #readOn(entries) {
    let more = true;
    while (more && entries.length < MOST_KEPT) {
      const page = await this.#find("*", { after: entries.at(-1).symbol });
      for (const each of page.instruments) entries.push(new Entry(each));
      more = page.more && page.instruments.length > 0;
    }
    this.#end(entries, more);
  }

  #end(entries, more) {
    this.#entries = entries;
    this.complete = !more;
    this.large = more;
    this.#readAt = performance.now();
    this.dispatchEvent(new Event("read"));
  }
}

const matches = (symbol, pattern) => compiled(pattern)(symbol);
let last = { pattern: "", test: () => false };
function compiled(pattern) {
  if (last.pattern !== pattern) last = { pattern, test: matcher(pattern) };
  return last.test;
}

/** Words of a search, and its filters by category. */
function wordsOf(text) {
  const [words, filters] = [[], []];
  for (const word of text.split(/[\s,]+/).filter(Boolean)) {
    const [category, ...value] = word.split(":");
    if (CATEGORIES.includes(category.toLowerCase()) && value.length > 0) filters.push([category.toLowerCase(), fold(value.join(":"))]);
    else if (!isPattern(word)) words.push(fold(word));
  }
  return { words, filters: filters.filter(([, value]) => value !== "") };
}

/** Entries that all words fit, the best first; of equally good ones, short symbols first. */
function ranked(entries, words) {
  if (words.length === 0) return entries;
  const bare = words.map((word) => word.replace(SEPARATORS, ""));
  const scored = [];
  for (const entry of entries) {
    let score = 0;
    for (let index = 0; index < words.length && score < Infinity; index += 1) score += entry.rank(words[index], bare[index]);
    if (score < Infinity) scored.push({ entry, score });
  }
  scored.sort((one, other) => one.score - other.score || one.entry.symbol.length - other.entry.symbol.length || (one.entry.symbol < other.entry.symbol ? -1 : 1));
  return scored.map(({ entry }) => entry);
}

/** Whether two words differ by one letter: another, one more, one less, or two that changed places. */
function isNear(one, other) {
  if (Math.abs(one.length - other.length) > 1) return false;
  let at = 0;
  while (at < one.length && one[at] === other[at]) at += 1;
  const [rest, otherRest] = [one.slice(at), other.slice(at)];
  if (rest.slice(1) === otherRest.slice(1) || rest.slice(1) === otherRest || rest === otherRest.slice(1)) return true;
  return rest[0] === otherRest[1] && rest[1] === otherRest[0] && rest.slice(2) === otherRest.slice(2);
}
