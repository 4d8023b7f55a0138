/** Patterns over symbols: `*`, `?`, `[abc]`, `[a-c]` and `[!abc]`; case matters (PROTOCOL.md, section 5). */

import { parseTable, splitName } from "./tables.js";

const PATTERNS_PER_EXPRESSION = 64; // far larger ones are slower to run than several of this size

/**
 * Whether a name holds a character of patterns.
 * @param {string} name
 */
export const isPattern = (name) => /[*?[]/.test(name);

/**
 * Whether a name can be subscribed: a symbol or a pattern, perhaps with a table. One that cannot would have a whole
 * request for events refused.
 * @param {string} name
 */
export function isName(name) {
  const [symbol, table] = splitName(name);
  return /^[^\s,\p{C}\p{Z}]{1,128}$/u.test(symbol) && (symbol === name || parseTable(table) !== undefined);
}

/**
 * A test of whether the name of an instrument or a table matches any of these names.
 * @param {...string} names
 */
export const matcher = (...names) => matcherOf(names);

/**
 * Compile many names into one test of instruments and tables. A pattern over symbols matches no table: `*` does not, and
 * `*-USD book:10` matches that table of each instrument.
 * @param {Iterable<string>} names
 * @returns {(name: string) => boolean}
 */
export function matcherOf(names) {
  /** @type {Map<string, Set<string>>} */
  const byTable = new Map();
  for (const name of names) {
    const [symbol, table] = splitName(name);
    const symbols = byTable.get(table);
    if (symbols) symbols.add(symbol);
    else byTable.set(table, new Set([symbol]));
  }
  const tests = new Map([...byTable].map(([table, symbols]) => [table, symbolMatcher(symbols)]));
  return (name) => {
    const [symbol, table] = splitName(name);
    return tests.get(table)?.(symbol) ?? false;
  };
}

/**
 * @param {Set<string>} names
 * @returns {(symbol: string) => boolean}
 */
function symbolMatcher(names) {
  /** @type {Set<string>} */
  const symbols = new Set();
  /** @type {string[]} */
  const patterns = [];
  for (const name of names) {
    if (isPattern(name)) patterns.push(name);
    else symbols.add(name);
  }
  if (patterns.length === 0) return (symbol) => symbols.has(symbol);
  /** @type {RegExp[]} */
  const expressions = [];
  for (let at = 0; at < patterns.length; at += PATTERNS_PER_EXPRESSION) {
    expressions.push(compiled(patterns.slice(at, at + PATTERNS_PER_EXPRESSION)));
  }
  return (symbol) => symbols.has(symbol) || expressions.some((each) => each.test(symbol));
}

/**
 * One expression for several patterns. After each `*`, the first place where the next part fits is as good as any later
 * one: a lookahead with a back reference keeps to it, so matching never takes exponential time. The last part has to
 * end at the end.
 * @param {string[]} patterns
 */
function compiled(patterns) {
  let groups = 0;
  const alternatives = patterns.map((pattern) => {
    const [first, ...parts] = split(pattern);
    const last = parts.pop();
    const middle = parts.map((part) => `(?=([^]*?${part}))\\${++groups}`).join("");
    return `${first}${middle}${last === undefined ? "" : `[^]*${last}`}`;
  });
  return new RegExp(`^(?:${alternatives.join("|")})$`, "u");
}

/**
 * The parts of a pattern between its stars, as regular expressions.
 * @param {string} pattern
 */
function split(pattern) {
  const parts = [""];
  const rest = [...pattern];
  for (let at = 0; at < rest.length; at++) {
    const character = rest[at];
    const end = character === "[" ? rest.indexOf("]", at + (rest[at + 1] === "!" ? 3 : 2)) : -1;
    if (character === "*") parts.push("");
    else if (character === "?") parts[parts.length - 1] += "[^]";
    else if (end < 0) parts[parts.length - 1] += escaped(character);
    else {
      parts[parts.length - 1] += characterClass(rest.slice(at + 1, end));
      at = end;
    }
  }
  return parts;
}

/**
 * A regular expression's class for the characters between `[` and `]`.
 * @param {string[]} content
 */
function characterClass(content) {
  const negated = content[0] === "!" && content.length > 1;
  let set = "";
  for (let at = negated ? 1 : 0; at < content.length; at++) {
    if (content[at + 1] === "-" && at + 2 < content.length) {
      const [low, high] = [content[at], content[at + 2]];
      if (codePoint(low) <= codePoint(high)) set += `${escaped(low)}-${escaped(high)}`;
      at += 2;
    } else set += escaped(content[at]);
  }
  return `[${negated ? "^" : ""}${set}]`;
}

/** @param {string} character */
const codePoint = (character) => character.codePointAt(0) ?? 0;
/** @param {string} character */
const escaped = (character) => `\\u{${codePoint(character).toString(16)}}`;
