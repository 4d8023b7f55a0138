/** Checks of arguments that users give: each error names the argument and the remedy. */

import { Code, TickerError } from "./errors.js";
import { isName, isPattern } from "./symbols.js";
import { tableOf } from "./tables.js";
import { excerpt } from "./texts.js";
import { fieldSet } from "./wanted.js";

const MAX_FIELDS = 64;

/** @param {unknown} value */
const typeOf = (value) => (value === null ? "null" : Array.isArray(value) ? "an array" : `a ${typeof value}`);

/**
 * Check the arguments of `subscribe`.
 * @param {unknown[]} names
 */
export function checkNames(names) {
  names.forEach((name, index) => {
    if (typeof name === "string") {
      if (name === "") throw new TickerError(`subscribe: name ${index + 1} is an empty text; leave it out`);
      return;
    }
    const listed = typeof name === "object" && name !== null && Symbol.iterator in name;
    const remedy = listed ? "give each name as an argument of its own: subscribe(...names)" : "give a text";
    throw new TickerError(`subscribe: name ${index + 1} is ${typeOf(name)}, and no symbol or pattern; ${remedy}`);
  });
}

/**
 * The names and options of `subscribe`: the options stand last.
 * @param {readonly unknown[]} given
 * @returns {{names: string[], fields: string | undefined}}
 */
export function subscribed(given) {
  const last = given.at(-1);
  const isObject = typeof last === "object" && last !== null && !(Symbol.iterator in last);
  const options = isObject && (given.length > 1 || "fields" in last) ? last : undefined;
  const names = /** @type {string[]} */ (options ? given.slice(0, -1) : [...given]);
  checkNames(names);
  const unknown = Object.keys(options ?? {}).find((key) => key !== "fields");
  if (unknown !== undefined) throw new TickerError(`subscribe: there is no option ${excerpt(unknown)}; there is fields`);
  return { names, fields: wantedFields("subscribe", /** @type {{fields?: unknown} | undefined} */ (options)?.fields) };
}

/**
 * The fields that are wanted, as one text; undefined for all of them.
 * @param {string} method
 * @param {unknown} fields
 */
export function wantedFields(method, fields) {
  if (fields === undefined) return undefined;
  if (!Array.isArray(fields)) {
    throw new TickerError(`${method}: fields: ${typeOf(fields)}; give an array of names, such as ["bid", "ask"]`);
  }
  for (const name of fields) {
    if (typeof name === "string" && /^[a-z][a-z0-9_]{0,31}$/.test(name)) continue;
    const found = typeof name === "string" ? excerpt(name) : typeOf(name);
    throw new TickerError(`${method}: fields: ${found} is no name of a field, such as bid or prev_close`);
  }
  const count = new Set(fields).size;
  if (count === 0 || count > MAX_FIELDS) {
    throw new TickerError(`${method}: fields: ${count} names; give 1 to ${MAX_FIELDS}, or leave fields out for all`);
  }
  return fieldSet(fields);
}

/**
 * Check the arguments for a table of an instrument.
 * @param {string} method
 * @param {unknown} symbol
 * @param {string} counted
 * @param {unknown} count
 */
export function checkTable(method, symbol, counted, count) {
  if (typeof symbol !== "string" || !isName(symbol) || symbol.includes(" ") || isPattern(symbol)) {
    const example = typeof symbol === "string" && isPattern(symbol) ? `; tables of many: subscribe("${excerpt(symbol)} book:10")` : "";
    const found = typeof symbol === "string" ? excerpt(symbol) : typeOf(symbol);
    throw new TickerError(`${method}: symbol: ${found}; give the symbol of one instrument${example}`);
  }
  if (!Number.isSafeInteger(count) || Number(count) < 1) {
    throw new TickerError(`${method}: ${counted}: ${excerpt(count)}; give a whole number, 1 or more`);
  }
}

/**
 * Check the period of candles.
 * @param {unknown} period
 */
export function checkPeriod(period) {
  if (typeof period === "string" && /^[1-9][0-9]{0,3}[smhd]$/.test(period)) return;
  throw new TickerError(`candles: period: ${excerpt(period)}; give a number and s, m, h or d, such as 1m`);
}

/**
 * Check the types of the options of `connect`.
 * @param {import("./options.js").Options} options
 */
export function checkOptions(options) {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TickerError(`options: ${typeOf(options)}; give an object, such as { intervalMs: 100 }`);
  }
  const { token, intervalMs, transport = "auto", whenHidden = "pause" } = options;
  if (token !== undefined && typeof token !== "string" && typeof token !== "function") {
    throw new TickerError(`token: ${typeOf(token)}; give a text, or a function that returns one`);
  }
  if (intervalMs !== undefined && !(Number.isSafeInteger(intervalMs) && intervalMs >= 0)) {
    throw new TickerError(`intervalMs: ${excerpt(intervalMs)}; give a whole number of milliseconds, 0 or more`);
  }
  if (!["auto", "websocket", "events"].includes(transport)) {
    throw new TickerError(`transport: ${excerpt(transport)}; give "auto", "websocket" or "events"`);
  }
  if (!["pause", "stream"].includes(whenHidden)) {
    throw new TickerError(`whenHidden: ${excerpt(whenHidden)}; give "pause" or "stream"`);
  }
}

/**
 * Check names against the limits of the connection, as far as its WELCOME has told them.
 * @param {Set<string>} names
 * @param {Map<string, number>} limits
 */
export function checkCounts(names, limits) {
  const most = limits.get("max_symbols") ?? Infinity;
  if (names.size > most) throw tooMany(`${names.size} symbols and patterns; this connection may have ${most}`);
  const mostTables = limits.get("max_tables") ?? Infinity;
  if (names.size > mostTables) {
    const tables = [...names].filter((name) => tableOf(name) && !isPattern(name)).length;
    if (tables > mostTables) throw tooMany(`${tables} tables; this connection may have ${mostTables}`, Code.TOO_MANY_TABLES);
  }
  const mostPatterns = limits.get("max_patterns") ?? Infinity;
  if (names.size <= mostPatterns) return;
  const patterns = [...names].filter(isPattern).length;
  if (patterns > mostPatterns) throw tooMany(`${patterns} patterns; this connection may have ${mostPatterns}`);
}

/**
 * The error for more names, or more tables of them, than the server takes on one connection.
 * @param {string} text
 * @param {number} [code]
 */
export function tooMany(text, code = Code.TOO_MANY_SYMBOLS) {
  const remedy = "subscribe fewer (a pattern stands for many), use several clients, or raise the service's limits";
  return new TickerError(`subscribe: ${text}; ${remedy}`, code);
}
