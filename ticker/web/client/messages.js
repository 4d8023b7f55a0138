/**
 * Messages of the server: their shapes, and decoding from msgpack and JSON (PROTOCOL.md, section 3).
 *
 * Elements behind those of a shape belong to a later version and are ignored, as are messages of an unknown kind.
 */

import { malformed } from "./errors.js";
import { unpack } from "./msgpack.js";
import { isName, isPattern } from "./symbols.js";
import { excerpt } from "./texts.js";

const MAX_SCALE = 15;
const MAX_TEXT = 256; // characters
const MAX_METADATA = 32;

/**
 * Values of an instrument by field: the id of a standard field, or the name of one of the feed's own. Null is withdrawn.
 * @typedef {number | string} FieldKey
 * @typedef {number | string | [string] | null} WireValue
 * @typedef {Map<FieldKey, WireValue>} WireFields
 */
/**
 * @typedef {object} Definition
 * @property {number} id of an instrument in its epoch, or negative: of a table on its connection
 * @property {string} symbol
 * @property {number} priceScale
 * @property {number} sizeScale
 * @property {Record<string, string>} metadata
 */
/**
 * The messages. Times are microseconds since 1970 UTC; `changes` and `records` alternate instrument ids and WireFields.
 * @typedef {{kind: "welcome", protocol: number, epoch: string, session: string, cut: number, time: number, heartbeatMs: number, limits: Map<string, number>, features?: Map<string, unknown>}} Welcome
 * @typedef {{kind: "reply", id: number, result: Map<string, unknown>}} Reply
 * @typedef {{kind: "error", id: number | null, code: number, text: string, fatal: boolean}} ErrorMessage
 * @typedef {{kind: "instruments", definitions: Definition[]}} Instruments
 * @typedef {{kind: "snapshot", since: number, cut: number, time: number, changes: unknown[], records: unknown[]}} Snapshot
 * @typedef {{kind: "delta", since: number, cut: number, time: number, changes: unknown[]}} Delta
 * @typedef {{kind: "heartbeat", cut: number, time: number}} Heartbeat
 * @typedef {{kind: "goodbye", reason: string, retryMs: number, comeBack: boolean}} Goodbye
 * @typedef {{kind: "expiring", time: number}} Expiring
 * @typedef {{kind: "removed", since: number, cut: number, ids: number[]}} Removed
 * @typedef {{kind: "source", since: number | null}} Source
 * @typedef {Welcome | Reply | ErrorMessage | Instruments | Snapshot | Delta | Heartbeat | Goodbye | Expiring | Removed | Source} Message
 */

/** @typedef {(value: unknown) => boolean} Check */

/** @param {unknown} value @returns {value is number} */
export const isNatural = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
/** Ids of instruments are natural numbers, and those of tables negative. @type {Check} */
const isId = Number.isSafeInteger;
/** @param {unknown} value @returns {value is string} */
export const isText = (value) => typeof value === "string";
/** @param {unknown} value @returns {value is unknown[]} */
const isArray = (value) => Array.isArray(value);
/** @type {Check} */
const isFlag = (value) => typeof value === "boolean";
/** @type {Check} */
const isScale = (value) => isNatural(value) && value <= MAX_SCALE;
/** @type {Check} */
const isSymbol = (value) => isText(value) && isName(value) && !isPattern(value);
/**
 * Whether a value is a text of at most 256 characters.
 * @param {unknown} value
 */
export const isShort = (value) =>
  isText(value) && (value.length <= MAX_TEXT || (value.length <= 2 * MAX_TEXT && [...value].length <= MAX_TEXT));
/** @type {(check: Check) => Check} */
const mapOf = (check) => (value) =>
  value instanceof Map && [...value].every(([key, each]) => isText(key) && check(each));
/** @type {Check} */
const isOffer = mapOf(() => true);
/** @type {Check} */
const isMetadata = (value) =>
  value instanceof Map && value.size <= MAX_METADATA && [...value].every((pair) => pair.every(isShort));

/**
 * Elements behind the kind of each message (PROTOCOL.md, section 3.1).
 * @type {[string, Record<string, Check>][]}
 */
const SHAPES_BY_KIND = [
  ["", {}],
  ["welcome", {
    protocol: isNatural, epoch: isText, session: isText, cut: isNatural, time: isNatural, heartbeatMs: isNatural,
    limits: mapOf(isNatural), features: (value) => value === undefined || isOffer(value),
  }],
  ["reply", { id: isNatural, result: mapOf(() => true) }],
  ["error", { id: (value) => value === null || isNatural(value), code: isNatural, text: isText, fatal: isFlag }],
  ["instruments", { definitions: isArray }],
  ["snapshot", { since: isNatural, cut: isNatural, time: isNatural, changes: isArray, records: isArray }],
  ["delta", { since: isNatural, cut: isNatural, time: isNatural, changes: isArray }],
  ["heartbeat", { cut: isNatural, time: isNatural }],
  ["goodbye", { reason: isText, retryMs: isNatural, comeBack: isFlag }],
  ["expiring", { time: isNatural }],
  ["removed", { since: isNatural, cut: isNatural, ids: (value) => isArray(value) && value.every(isId) }],
  ["source", { since: (value) => value === null || isNatural(value) }],
];
const SHAPES = SHAPES_BY_KIND.map(([kind, checks]) => ({ kind, elements: Object.entries(checks) }));
const DEFINITION = Object.entries({
  id: isId, symbol: isSymbol, priceScale: isScale, sizeScale: isScale, metadata: isMetadata,
});

/**
 * Decode one message of the server: msgpack from bytes, JSON from a text. Null for a kind of a later version.
 * Raises TickerError for anything that is not a message.
 * @param {Uint8Array | ArrayBuffer | string} payload
 * @returns {Message | null}
 */
export function decode(payload) {
  const bytes = payload instanceof ArrayBuffer ? new Uint8Array(payload) : payload;
  const elements = typeof bytes === "string" ? parseJson(bytes) : unpack(bytes);
  if (!isArray(elements) || !Number.isSafeInteger(elements[0])) {
    throw malformed("a server message is an array that starts with an integer kind");
  }
  const number = Number(elements[0]);
  const shape = number > 0 ? SHAPES[number] : undefined;
  if (!shape) return null;
  const { kind } = shape;
  const named = byName(kind, elements, shape.elements, 1, { kind });
  const message = /** @type {Message} */ (/** @type {unknown} */ (named));
  return message.kind === "instruments" ? { ...message, definitions: message.definitions.map(definition) } : message;
}

/**
 * The elements of one definition by name.
 * @param {unknown} elements
 * @returns {Definition}
 */
export function definition(elements) {
  const named = byName("definition", elements, DEFINITION, 0, {});
  named.metadata = plain(/** @type {Map<string, string>} */ (named.metadata));
  return /** @type {Definition} */ (/** @type {unknown} */ (named));
}

/**
 * Check the elements of an array against a shape, and add them to `named`.
 * @param {string} kind
 * @param {unknown} elements
 * @param {[string, Check][]} shape
 * @param {number} from index of the first element of the shape
 * @param {Record<string, unknown>} named
 */
function byName(kind, elements, shape, from, named) {
  if (!isArray(elements)) throw malformed(`${kind} is an array`);
  for (let index = 0; index < shape.length; index++) {
    const [name, check] = shape[index];
    const value = elements[index + from];
    if (!check(value)) throw malformed(`${kind}: ${name} is missing or not valid`);
    named[name] = value;
  }
  return named;
}

/**
 * Outcomes of a request, one for each name.
 * @typedef {{name: string, code: number, text: string}} Outcome
 * @param {Reply} reply
 * @returns {Outcome[]}
 */
export function outcomesOf({ result }) {
  const outcomes = result.get("outcomes") ?? [];
  if (!isArray(outcomes)) throw malformed("reply: outcomes is missing or not valid");
  return outcomes.map((elements) => {
    const [name, code, text] = isArray(elements) ? elements : [];
    if (!isText(name) || !isNatural(code) || !isText(text)) throw malformed("outcomes are [name, code, text]");
    return { name, code, text: excerpt(text) };
  });
}

/**
 * An object without a prototype for a few keys. One of `Object.create(null)` is a hash table from the beginning, which costs
 * several times as much to fill and to read: right for many keys only.
 * @template T
 * @returns {Record<string, T>}
 */
export function bare() {
  return Object.setPrototypeOf({}, null);
}

/**
 * A Map as an object without a prototype: a symbol or a key may well be "constructor".
 * @template T
 * @param {Iterable<[string, T]>} map
 * @returns {Record<string, T>}
 */
export function plain(map) {
  const object = Object.create(null);
  for (const [key, value] of map) object[key] = value;
  return object;
}

/**
 * Parsed JSON in the form that msgpack has: Maps, and Number objects for numbers that are no integers.
 * @param {unknown} value
 * @returns {unknown}
 */
function mapped(value) {
  if (typeof value === "number") return Number.isInteger(value) ? value + 0 : Object(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(mapped);
  return new Map(Object.entries(value).map(([key, each]) => [key, mapped(each)]));
}

/** @param {string} text */
function parseJson(text) {
  let message;
  try {
    message = mapped(JSON.parse(text));
  } catch (error) {
    throw malformed(`not JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (isArray(message) && (message[0] === 5 || message[0] === 6)) {
    for (const entries of message.slice(4, 6)) {
      if (!isArray(entries)) continue;
      for (let index = 1; index < entries.length; index += 2) entries[index] = integerKeys(entries[index]);
    }
  }
  return message;
}

/**
 * JSON has no integer keys: ids of standard fields come as "1", "2", …
 * @param {unknown} fields
 */
function integerKeys(fields) {
  if (!(fields instanceof Map)) return fields;
  return new Map([...fields].map(([key, value]) => [/^[0-9]{1,5}$/.test(key) ? Number(key) : key, value]));
}
