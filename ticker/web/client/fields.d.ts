/** The standard fields (PROTOCOL.md, section 4): names, kinds, values that they can have, and exact decimal texts. */
export type FieldKey = import("./messages.js").FieldKey;
export type WireValue = import("./messages.js").WireValue;
export type Bar = import("./rows.js").Bar;
export type Level = import("./rows.js").Level;
export type Print = import("./rows.js").Print;
export type Rows = import("./rows.js").Rows;
export type Value = string | number;
export type Fields = {
    bid?: string;
    bid_size?: string;
    ask?: string;
    ask_size?: string;
    last?: string;
    last_size?: string;
    open?: string;
    high?: string;
    low?: string;
    prev_close?: string;
    volume?: string;
    trade_count?: number;
    time?: number;
    status?: string;
    reason?: string;
    bids?: readonly Level[];
    asks?: readonly Level[];
    trades?: readonly Print[];
    candles?: readonly Bar[];
    [name: string]: Value | Rows | undefined;
};
export type ChangedLevel = readonly [price: string, size: string | null];
export type ChangedFields = {
    bid?: string | null;
    bid_size?: string | null;
    ask?: string | null;
    ask_size?: string | null;
    last?: string | null;
    last_size?: string | null;
    open?: string | null;
    high?: string | null;
    low?: string | null;
    prev_close?: string | null;
    volume?: string | null;
    trade_count?: number | null;
    time?: number | null;
    status?: string | null;
    reason?: string | null;
    bids?: readonly ChangedLevel[];
    asks?: readonly ChangedLevel[];
    trades?: readonly Print[];
    candles?: readonly Bar[];
    [name: string]: Value | Rows | readonly ChangedLevel[] | null | undefined;
};
export declare const OWN: number, PRICE: number, SIZE: number, INTEGER: number, TEXT: number, ROWS: number;
export declare const STATUS: number, REASON: number, BIDS: number, ASKS: number, TRADES: number, CANDLES: number;
/**
 * The status of a record: a word of a later version counts as stale.
 * @param {string} word
 */
export declare const knownStatus: (word: string) => string;
/**
 * Whether this version knows a field; a feed's own fields are known by their names.
 * @param {unknown} key
 */
export declare const isKnown: (key: unknown) => boolean;
/** @param {FieldKey} key */
export declare const kindOf: (key: FieldKey) => number;
/** @param {FieldKey} key */
export declare const nameOf: (key: FieldKey) => string;
/**
 * Whether a known field, or one of a feed's own, can have this value. Rows stand in tables only, and are checked there.
 * @param {unknown} key
 * @param {unknown} value
 */
export declare function isValid(key: unknown, value: unknown): boolean;
/** @param {unknown} text */
export declare const isPlainDecimal: (text: unknown) => boolean;
/**
 * A scaled number as an exact decimal text.
 * @param {number} scaled
 * @param {number} scale
 * @returns {string}
 */
export declare function decimalText(scaled: number, scale: number): string;
/**
 * A scaled number at a higher scale: its text if it does not fit, as on the wire.
 * @param {number} value
 * @param {number} before
 * @param {number} after
 */
export declare function rescaled(value: number, before: number, after: number): string | number;
