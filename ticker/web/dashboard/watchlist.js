// The list: names (symbols and patterns) in their order, kept between visits and in the page's address.

import { isPattern } from "./patterns.js";
import { matcher } from "../ticker.js";

const KEY = "ticker.list";
const MAX_UNDOS = 50;

export class Watchlist extends EventTarget {
  #past = [];

  constructor() {
    super();
    this.names = [];
    this.chosen = false; // the user's own list: from the address, an earlier visit, or made here
    this.#read();
    addEventListener("hashchange", () => {
      const names = namesInAddress();
      if (names !== null && names.join() !== this.names.join()) this.#change(names);
    });
  }

  add(names) {
    const fresh = names.filter((name) => !this.names.includes(name));
    if (fresh.length > 0) this.#change([...this.names, ...fresh]);
    return fresh;
  }

  /** Remove a name, or replace it with others. */
  replace(name, ...others) {
    const fresh = others.filter((other) => !this.names.includes(other));
    this.#change(this.names.flatMap((each) => (each === name ? fresh : [each])));
  }

  /** Move a name by a number of places; false if it is at the end already. */
  move(name, by) {
    return this.moveTo(name, this.names.indexOf(name) + by);
  }

  moveTo(name, index) {
    const from = this.names.indexOf(name);
    if (from < 0 || index < 0 || index >= this.names.length || index === from) return false;
    const names = this.names.toSpliced(from, 1).toSpliced(index, 0, name);
    this.#change(names);
    return true;
  }

  undo() {
    const names = this.#past.pop();
    if (names === undefined) return false;
    this.#set(names);
    return true;
  }

  /** An address of this page that shows this list. */
  link() {
    return `${location.origin}${location.pathname}${fragment(this.names)}`;
  }

  /** A list for a first visit, which is not kept. */
  propose(names) {
    this.names = names;
    this.dispatchEvent(new Event("change"));
  }

  #change(names) {
    this.#past.push(this.names);
    if (this.#past.length > MAX_UNDOS) this.#past.shift();
    this.#set(names);
  }

  #set(names) {
    this.names = names;
    this.chosen = true;
    history.replaceState(null, "", fragment(names));
    try {
      localStorage.setItem(KEY, JSON.stringify(names));
    } catch {
      // without storage, the address alone keeps it
    }
    this.dispatchEvent(new Event("change"));
  }

  #read() {
    const names = namesInAddress() ?? namesInStorage();
    this.chosen = names !== null;
    this.names = names ?? [];
  }
}

/**
 * The rows of a list: for a symbol one, for a pattern a head and one for each match that no earlier name has. Remembers
 * the pattern of each symbol, so that new symbols alone are matched.
 */
export class Expansion {
  #names = [];
  #symbols = new Set();
  #patterns = [];
  #matchesAny = matcher();
  #patternOf = new Map();

  /** @returns {{name: string, symbol: string | null}[]} */
  rows(names, known) {
    if (names.join() !== this.#names.join()) this.#compile(names);
    const matches = new Map(this.#patterns.map(({ name }) => [name, []]));
    for (const symbol of known) {
      if (!this.#patternOf.has(symbol)) this.#patternOf.set(symbol, this.#firstPattern(symbol));
      matches.get(this.#patternOf.get(symbol))?.push(symbol);
    }
    return names.flatMap((name) => {
      if (!isPattern(name)) return [{ name, symbol: name }];
      return [null, ...matches.get(name).sort()].map((symbol) => ({ name, symbol }));
    });
  }

  #compile(names) {
    const patterns = names.filter(isPattern);
    this.#names = names;
    this.#symbols = new Set(names.filter((name) => !isPattern(name)));
    this.#patterns = patterns.map((name) => ({ name, matches: matcher(name) }));
    this.#matchesAny = matcher(...patterns);
    this.#patternOf.clear();
  }

  #firstPattern(symbol) {
    if (this.#symbols.has(symbol) || !this.#matchesAny(symbol)) return null;
    return this.#patterns.find(({ matches }) => matches(symbol)).name;
  }
}

function fragment(names) {
  return `#${names.map((name) => encodeURIComponent(name)).join(",")}`;
}

function namesInAddress() {
  const text = location.hash.slice(1);
  if (!text) return null;
  const names = text.split(",").map((name) => {
    try {
      return decodeURIComponent(name);
    } catch {
      return name;
    }
  });
  return [...new Set(names.filter((name) => name && name.length <= 128 && !/[\s,]/.test(name)))];
}

function namesInStorage() {
  try {
    const names = JSON.parse(localStorage.getItem(KEY));
    return Array.isArray(names) && names.every((name) => typeof name === "string") ? names : null;
  } catch {
    return null;
  }
}
