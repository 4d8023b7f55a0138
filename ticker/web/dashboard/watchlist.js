// The lines of a list: for a symbol one, for a pattern a head and one for each match that no earlier name has.

import { isPattern } from "./patterns.js";
import { matcher } from "../ticker.js";

const inOrder = (one, other) => (one.symbol < other.symbol ? -1 : 1);

/** A line of the list; `symbol` is null for a pattern's head, which has the number of its matches. */
class Line {
  constructor(name, symbol, quote) {
    this.name = name;
    this.symbol = symbol;
    this.quote = quote;
    this.index = -1;
    this.matches = 0;
  }
}

/** Two arrays in order as one. */
function merged(lines, others) {
  const all = [];
  let at = 0;
  for (const line of lines) {
    while (at < others.length && others[at].symbol < line.symbol) all.push(others[at++]);
    all.push(line);
  }
  while (at < others.length) all.push(others[at++]);
  return all;
}

/** Remembers the pattern of each symbol, so that new symbols alone are matched. */
export class Watchlist {
  #quotes;
  #names = [];
  #lines = new Map(); // of symbols
  #heads = new Map();
  #groups = new Map(); // of patterns: their matches in order, and those that came since
  #patterns = [];
  #matchesAny = matcher();

  version = 0; // another one with other lines

  constructor(quotes) {
    this.#quotes = quotes;
  }

  /** Show these names; of the symbols of patterns, those that the quotes have. */
  compile(names) {
    this.version += 1;
    const before = this.#lines;
    const patterns = names.filter(isPattern);
    this.#names = names;
    this.#lines = new Map();
    this.#patterns = patterns.map((name) => ({ name, matches: matcher(name) }));
    this.#matchesAny = matcher(...patterns);
    this.#groups = new Map(patterns.map((name) => [name, { lines: [], fresh: [] }]));
    this.#heads = new Map(patterns.map((name) => [name, this.#heads.get(name) ?? new Line(name, null, null)]));
    for (const name of names) if (!isPattern(name)) this.#keep(name, name, before);
    if (patterns.length > 0) this.add(this.#quotes.symbols, before);
  }

  /** Add symbols that the service has, as far as a pattern matches them. */
  add(symbols, before = this.#lines) {
    for (const symbol of symbols) {
      if (this.#lines.has(symbol) || !this.#matchesAny(symbol)) continue;
      const { name } = this.#patterns.find(({ matches }) => matches(symbol));
      this.#groups.get(name).fresh.push(this.#keep(name, symbol, before));
      this.version += 1;
    }
  }

  /** All lines in the order of the names. */
  lines() {
    const lines = [];
    for (const name of this.#names) {
      const head = this.#heads.get(name);
      if (head === undefined) lines.push(this.#lines.get(name));
      else {
        const matches = this.#inOrder(this.#groups.get(name));
        head.matches = matches.length;
        lines.push(head);
        for (const line of matches) lines.push(line);
      }
    }
    return lines;
  }

  /** The line of a symbol, or null. */
  lineFor(symbol) {
    return this.#lines.get(symbol) ?? null;
  }

  #keep(name, symbol, before) {
    const line = before.get(symbol) ?? new Line(name, symbol, null);
    line.name = name;
    line.quote = this.#quotes.of(symbol);
    this.#lines.set(symbol, line);
    return line;
  }

  #inOrder(group) {
    if (group.fresh.length > 0) {
      group.lines = merged(group.lines, group.fresh.sort(inOrder));
      group.fresh = [];
    }
    return group.lines;
  }
}
