/**
 * Messages of the server: their shapes, and decoding from msgpack and JSON (PROTOCOL.md, section 3).
 *
 * Elements behind those of a shape belong to a later version and are ignored, as are messages of an unknown kind.
 */
export type FieldKey = number | string;
export type WireValue = number | string | [string] | null;
export type WireFields = Map<FieldKey, WireValue>;
export type Definition = {
    /**
     * of an instrument in its epoch, or negative: of a table on its connection
     */
    id: number;
    symbol: string;
    priceScale: number;
    sizeScale: number;
    metadata: Record<string, string>;
};
export type Welcome = {
    kind: "welcome";
    protocol: number;
    epoch: string;
    session: string;
    cut: number;
    time: number;
    heartbeatMs: number;
    limits: Map<string, number>;
    features?: Map<string, unknown>;
};
export type Reply = {
    kind: "reply";
    id: number;
    result: Map<string, unknown>;
};
export type ErrorMessage = {
    kind: "error";
    id: number | null;
    code: number;
    text: string;
    fatal: boolean;
};
export type Instruments = {
    kind: "instruments";
    definitions: Definition[];
};
export type Snapshot = {
    kind: "snapshot";
    since: number;
    cut: number;
    time: number;
    changes: unknown[];
    records: unknown[];
};
export type Delta = {
    kind: "delta";
    since: number;
    cut: number;
    time: number;
    changes: unknown[];
};
export type Heartbeat = {
    kind: "heartbeat";
    cut: number;
    time: number;
};
export type Goodbye = {
    kind: "goodbye";
    reason: string;
    retryMs: number;
    comeBack: boolean;
};
export type Expiring = {
    kind: "expiring";
    time: number;
};
export type Removed = {
    kind: "removed";
    since: number;
    cut: number;
    ids: number[];
};
export type Source = {
    kind: "source";
    since: number | null;
};
export type Message = Welcome | Reply | ErrorMessage | Instruments | Snapshot | Delta | Heartbeat | Goodbye | Expiring | Removed | Source;
export type Check = (value: unknown) => boolean;
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
export declare const isNatural: (value: unknown) => value is number;
/** @param {unknown} value @returns {value is string} */
export declare const isText: (value: unknown) => value is string;
/**
 * Whether a value is a text of at most 256 characters.
 * @param {unknown} value
 */
export declare const isShort: (value: unknown) => boolean;
/**
 * Decode one message of the server: msgpack from bytes, JSON from a text. Null for a kind of a later version.
 * Raises TickerError for anything that is not a message.
 * @param {Uint8Array | ArrayBuffer | string} payload
 * @returns {Message | null}
 */
export declare function decode(payload: Uint8Array | ArrayBuffer | string): Message | null;
/**
 * The elements of one definition by name.
 * @param {unknown} elements
 * @returns {Definition}
 */
export declare function definition(elements: unknown): Definition;
export type Outcome = {
    name: string;
    code: number;
    text: string;
};
/**
 * Outcomes of a request, one for each name.
 * @typedef {{name: string, code: number, text: string}} Outcome
 * @param {Reply} reply
 * @returns {Outcome[]}
 */
export declare function outcomesOf({ result }: Reply): Outcome[];
/**
 * An object without a prototype for a few keys. One of `Object.create(null)` is a hash table from the beginning, which costs
 * several times as much to fill and to read: right for many keys only.
 * @template T
 * @returns {Record<string, T>}
 */
export declare function bare<T>(): Record<string, T>;
/**
 * A Map as an object without a prototype: a symbol or a key may well be "constructor".
 * @template T
 * @param {Iterable<[string, T]>} map
 * @returns {Record<string, T>}
 */
export declare function plain<T>(map: Iterable<[string, T]>): Record<string, T>;
