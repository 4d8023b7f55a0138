/** The standard fields (PROTOCOL.md, section 4): names, kinds, values that they can have, and exact decimal texts. */

import { isShort } from "./messages.js";

/** @typedef {import("./messages.js").FieldKey} FieldKey */
/** @typedef {import("./messages.js").WireValue} WireValue */

/**
 * Prices, sizes and other decimals are exact decimal texts, integers numbers, texts strings.
 * @typedef {string | number} Value
 */
/**
 * Values by field name, and fields of the feed's own by theirs. `time` is the exchange time in microseconds since 1970 UTC.
 * @typedef {{
 *   bid?: string, bid_size?: string, ask?: string, ask_size?: string, last?: string, last_size?: string,
 *   open?: string, high?: string, low?: string, prev_close?: string, volume?: string, trade_count?: number,
 *   time?: number, status?: string, reason?: string,
 *   [name: string]: Value | undefined,
 * }} Fields
 */
/**
 * Only the fields that changed; null is withdrawn.
 * @typedef {{[Name in keyof Fields]: Fields[Name] | null}} ChangedFields
 */

const MAX_FIELD_NAME = 32;

export const [OWN, PRICE, SIZE, INTEGER, TEXT] = [0, 1, 2, 3, 4];
/**
 * Names and kinds by id.
 * @type {[string, number][]}
 */
const FIELDS = [
  ["", OWN], ["bid", PRICE], ["bid_size", SIZE], ["ask", PRICE], ["ask_size", SIZE], ["last", PRICE],
  ["last_size", SIZE], ["open", PRICE], ["high", PRICE], ["low", PRICE], ["prev_close", PRICE], ["volume", SIZE],
  ["trade_count", INTEGER], ["time", INTEGER], ["status", TEXT], ["reason", TEXT],
];

/**
 * Whether this version knows a field; a feed's own fields are known by their names.
 * @param {unknown} key
 */
export const isKnown = (key) => typeof key !== "number" || (key > 0 && key < FIELDS.length);
/** @param {FieldKey} key */
export const kindOf = (key) => (typeof key === "number" ? FIELDS[key][1] : OWN);
/** @param {FieldKey} key */
export const nameOf = (key) => (typeof key === "number" ? FIELDS[key][0] : key);

/**
 * Whether a known field, or one of a feed's own, can have this value.
 * @param {unknown} key
 * @param {unknown} value
 */
export function isValid(key, value) {
  if (typeof key !== "number" && (typeof key !== "string" || key.length > MAX_FIELD_NAME)) return false;
  if (value === null) return true;
  const kind = kindOf(key);
  if (Array.isArray(value)) return kind === OWN && value.length === 1 && isPlainDecimal(value[0]);
  if (typeof value !== "string") return Number.isSafeInteger(value) && kind !== TEXT;
  return kind === PRICE || kind === SIZE ? isPlainDecimal(value) : kind !== INTEGER && isShort(value);
}

/** @param {unknown} text */
const isPlainDecimal = (text) => typeof text === "string" && /^-?(0|[1-9][0-9]{0,39})(\.[0-9]{1,40})?$/.test(text);

/**
 * A scaled number as an exact decimal text.
 * @param {number} scaled
 * @param {number} scale
 */
export function decimalText(scaled, scale) {
  if (scale === 0) return String(scaled);
  const negative = scaled < 0;
  const digits = String(negative ? -scaled : scaled).padStart(scale + 1, "0");
  return `${negative ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
