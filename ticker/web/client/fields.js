/** The standard fields (PROTOCOL.md, section 4): names, kinds, values that they can have, and exact decimal texts. */

import { isShort } from "./messages.js";

/** @typedef {import("./messages.js").FieldKey} FieldKey */
/** @typedef {import("./messages.js").WireValue} WireValue */

/** @typedef {import("./rows.js").Bar} Bar */
/** @typedef {import("./rows.js").Level} Level */
/** @typedef {import("./rows.js").Print} Print */
/** @typedef {import("./rows.js").Rows} Rows */

/**
 * Prices, sizes and other decimals are exact decimal texts, integers numbers, texts strings.
 * @typedef {string | number} Value
 */
/**
 * Values by field name, and fields of the feed's own by theirs. `time` is the exchange time in microseconds since 1970 UTC.
 * A table has rows: `bids` (the highest first) and `asks`, or `trades`, or `candles`.
 * @typedef {{
 *   bid?: string, bid_size?: string, ask?: string, ask_size?: string, last?: string, last_size?: string,
 *   open?: string, high?: string, low?: string, prev_close?: string, volume?: string, trade_count?: number,
 *   time?: number, status?: string, reason?: string,
 *   bids?: readonly Level[], asks?: readonly Level[], trades?: readonly Print[], candles?: readonly Bar[],
 *   [name: string]: Value | Rows | undefined,
 * }} Fields
 */
/**
 * A price level that changed; its size is null if it has left the book.
 * @typedef {readonly [price: string, size: string | null]} ChangedLevel
 */
/**
 * Only the fields that changed; null is withdrawn. Of tables only the rows that changed.
 * @typedef {{
 *   bid?: string | null, bid_size?: string | null, ask?: string | null, ask_size?: string | null, last?: string | null,
 *   last_size?: string | null, open?: string | null, high?: string | null, low?: string | null,
 *   prev_close?: string | null, volume?: string | null, trade_count?: number | null, time?: number | null,
 *   status?: string | null, reason?: string | null,
 *   bids?: readonly ChangedLevel[], asks?: readonly ChangedLevel[], trades?: readonly Print[], candles?: readonly Bar[],
 *   [name: string]: Value | Rows | readonly ChangedLevel[] | null | undefined,
 * }} ChangedFields
 */

const MAX_FIELD_NAME = 32;

export const [OWN, PRICE, SIZE, INTEGER, TEXT, ROWS] = [0, 1, 2, 3, 4, 5];
export const [STATUS, REASON, BIDS, ASKS, TRADES, CANDLES] = [14, 15, 16, 17, 18, 19];
/**
 * Names and kinds by id.
 * @type {[string, number][]}
 */
const FIELDS = [
  ["", OWN], ["bid", PRICE], ["bid_size", SIZE], ["ask", PRICE], ["ask_size", SIZE], ["last", PRICE],
  ["last_size", SIZE], ["open", PRICE], ["high", PRICE], ["low", PRICE], ["prev_close", PRICE], ["volume", SIZE],
  ["trade_count", INTEGER], ["time", INTEGER], ["status", TEXT], ["reason", TEXT],
  ["bids", ROWS], ["asks", ROWS], ["trades", ROWS], ["candles", ROWS],
];
const NAMES = FIELDS.map(([name]) => name);
const KINDS = FIELDS.map(([, kind]) => kind);

const STATUSES = new Set(["live", "stale", "halted", "closed"]);

/**
 * The status of a record: a word of a later version counts as stale.
 * @param {string} word
 */
export const knownStatus = (word) => (STATUSES.has(word) ? word : "stale");

/**
 * Whether this version knows a field; a feed's own fields are known by their names.
 * @param {unknown} key
 */
export const isKnown = (key) => typeof key !== "number" || (key > 0 && key < FIELDS.length);
/** @param {FieldKey} key */
export const kindOf = (key) => (typeof key === "number" ? KINDS[key] : OWN);
/** @param {FieldKey} key */
export const nameOf = (key) => (typeof key === "number" ? NAMES[key] : key);

/**
 * Whether a known field, or one of a feed's own, can have this value. Rows stand in tables only, and are checked there.
 * @param {unknown} key
 * @param {unknown} value
 */
export function isValid(key, value) {
  if (typeof key === "number" && Number.isSafeInteger(value) && KINDS[key] < TEXT && KINDS[key] !== OWN) return true; // nearly all
  if (typeof key !== "number" && (typeof key !== "string" || key.length > MAX_FIELD_NAME)) return false;
  if (value === null) return true;
  const kind = kindOf(key);
  if (Array.isArray(value)) return kind === OWN && value.length === 1 && isPlainDecimal(value[0]);
  if (kind === ROWS) return false;
  if (typeof value !== "string") return Number.isSafeInteger(value) && kind !== TEXT;
  return kind === PRICE || kind === SIZE ? isPlainDecimal(value) : kind !== INTEGER && isShort(value);
}

/** @param {unknown} text */
export const isPlainDecimal = (text) => typeof text === "string" && /^-?(0|[1-9][0-9]{0,39})(\.[0-9]{1,40})?$/.test(text);

/**
 * A scaled number as an exact decimal text.
 * @param {number} scaled
 * @param {number} scale
 * @returns {string}
 */
export function decimalText(scaled, scale) {
  if (scale === 0) return String(scaled);
  if (scaled < 0) return `-${decimalText(-scaled, scale)}`;
  const digits = String(scaled);
  const whole = digits.length - scale;
  return whole > 0 ? `${digits.slice(0, whole)}.${digits.slice(whole)}` : `0.${digits.padStart(scale, "0")}`;
}

/**
 * A scaled number at a higher scale: its text if it does not fit, as on the wire.
 * @param {number} value
 * @param {number} before
 * @param {number} after
 */
export function rescaled(value, before, after) {
  const scaled = value * 10 ** (after - before);
  if (Number.isSafeInteger(scaled)) return scaled;
  return decimalText(value, before).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}
