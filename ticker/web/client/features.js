/** The tables that a service offers, as its WELCOME says, and the choice of the one that serves a user. */

import { Code, TickerError, malformed } from "./errors.js";
import { isNatural } from "./messages.js";
import { excerpt } from "./texts.js";

/** @typedef {import("./tables.js").TableName} TableName */
/**
 * Numbers of rows are in ascending order; `digest`: whether a copy can be verified; `delay`: the seconds by which the
 * market is shown later than it is, because its licence says so, 0 in real time; `fields`: the different sets of fields that
 * a connection may ask for, 0 if it can only ask for all fields.
 * @typedef {{
 *   book: number[], trades: number[], candles: {periods: string[], rows: number[]}, digest: boolean, delay: number,
 *   fields: number,
 * }} Features
 */

const MAX_OFFERS = 1000; // of a kind
const MAX_PERIOD = 8; // characters

/** @type {Features} */
const NO_FEATURES = Object.freeze({
  book: [], trades: [], candles: { periods: [], rows: [] }, digest: false, delay: 0, fields: 0,
});

/**
 * The `features` of a WELCOME. Raises TickerError for what they cannot be.
 * @param {Map<string, unknown> | undefined} offer
 * @returns {Features}
 */
export function featuresOf(offer) {
  if (!offer) return NO_FEATURES;
  const known = Object.fromEntries(offer);
  const { book = [], trades = [], candles = new Map(), digest = false, delay = 0, fields = 0 } = known;
  if (!(candles instanceof Map) || typeof digest !== "boolean" || !isNatural(delay) || !isNatural(fields)) {
    throw malformed("welcome: features are not valid");
  }
  const periods = list(candles.get("periods") ?? [], (each) => typeof each === "string" && each.length <= MAX_PERIOD);
  return {
    book: counts(book),
    trades: counts(trades),
    candles: { periods: /** @type {string[]} */ (periods), rows: counts(candles.get("rows") ?? []) },
    digest,
    delay,
    fields,
  };
}

/**
 * @param {unknown} value
 * @param {(each: unknown) => boolean} check
 */
function list(value, check) {
  if (!Array.isArray(value) || value.length > MAX_OFFERS || !value.every(check)) {
    throw malformed("welcome: features are not valid");
  }
  return value;
}

/** @param {unknown} value @returns {number[]} */
const counts = (value) => list(value, Number.isSafeInteger).sort((one, other) => one - other);

/**
 * The table with at least the wanted number of rows.
 * @param {Features} features
 * @param {TableName} wanted
 * @returns {TableName}
 * @throws {TickerError} if the service has none; it says what there is
 */
export function offered(features, wanted) {
  const { kind, rows, period } = wanted;
  const { periods, rows: bars } = features.candles;
  if (kind === "candles" && !periods.includes(period)) throw unknownTable(`candles of ${excerpt(period)}`, periods, kind);
  const numbers = kind === "candles" ? bars : features[kind];
  const found = numbers.find((each) => each >= rows);
  if (found === undefined) throw unknownTable(`${kind} with ${rows} rows`, numbers, kind);
  return { ...wanted, rows: found };
}

/**
 * @param {string} wanted
 * @param {(string | number)[]} offer
 * @param {string} kind
 */
function unknownTable(wanted, offer, kind) {
  const there = offer.length > 0 ? `the service has ${kind} of ${offer.map(excerpt).join(", ")}` : `the service has no ${kind}`;
  return new TickerError(`${wanted}: ${there}`, Code.UNKNOWN_TABLE);
}
