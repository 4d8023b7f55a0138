// The list: names (symbols and patterns) in their order, kept between visits and in the page's address.

import { isPattern } from "./patterns.js";
import { matcher } from "../ticker.js";

const KEY = "ticker.list";
const MOST_UNDOS = 50;

export class Watchlist extends EventTarget {
  #past = [];

  constructor() {
    super();
    this.names = [];
    this.chosen = false; // whether this list is somebody's choice: from the address, an earlier visit, or made here
    this.#read();
    addEventListener("hashchange", () => {
      const names = namesInAddress();
      if (names !== null && names.join() !== this.names.join()) this.#become(names);
    });
  }

  add(names) {
    const fresh = names.filter((name) => !this.names.includes(name));
    if (fresh.length > 0) this.#become([...this.names, ...fresh]);
    return fresh;
  }

  /** Take a name out, or put others in its place. */
  replace(name, ...others) {
    const fresh = others.filter((other) => !this.names.includes(other));
    this.#become(this.names.flatMap((each) => (each === name ? fresh : [each])));
  }

  /** Move a name by so many places; false if it is at the end already. */
  move(name, by) {
    return this.moveTo(name, this.names.indexOf(name) + by);
  }

  moveTo(name, index) {
    const from = this.names.indexOf(name);
    if (from < 0 || index < 0 || index >= this.names.length || index === from) return false;
    const names = this.names.toSpliced(from, 1).toSpliced(index, 0, name);
    this.#become(names);
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

  /** A list that nobody chose, for a first visit: it is not kept. */
  propose(names) {
    this.names = names;
    this.dispatchEvent(new Event("change"));
  }

  #become(names) {
    this.#past.push(this.names);
    if (this.#past.length > MOST_UNDOS) this.#past.shift();
    this.#set(names);
  }

  #set(names) {
    this.names = names;
    this.chosen = true;
    history.replaceState(null, "", fragment(names));
    try {
      localStorage.setItem(KEY, JSON.stringify(names));
    } catch {
      // then the address alone keeps it
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
 * The rows of a list: for a symbol one, for a pattern a head and one for each match that no earlier name has brought.
 * @returns {{name: string, symbol: string | null}[]}
 */
export function expand(names, symbols) {
  const known = [...symbols].sort();
  const taken = new Set(names.filter((name) => !isPattern(name)));
  const rows = [];
  for (const name of names) {
    if (!isPattern(name)) {
      rows.push({ name, symbol: name });
      continue;
    }
    const matches = matcher(name);
    rows.push({ name, symbol: null });
    for (const symbol of known) {
      if (taken.has(symbol) || !matches(symbol)) continue;
      taken.add(symbol);
      rows.push({ name, symbol });
    }
  }
  return rows;
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
  return [...new Set(names.filter((name) => name && name.length <= 64 && !/[\s,]/.test(name)))];
}

function namesInStorage() {
  try {
    const names = JSON.parse(localStorage.getItem(KEY));
    return Array.isArray(names) && names.every((name) => typeof name === "string") ? names : null;
  } catch {
    return null;
  }
}
