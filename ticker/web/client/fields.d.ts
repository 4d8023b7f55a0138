/** The standard fields (PROTOCOL.md, section 4): names, kinds, values that they can have, and exact decimal texts. */
export type FieldKey = import("./messages.js").FieldKey;
export type WireValue = import("./messages.js").WireValue;
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
    [name: string]: Value | undefined;
};
export type ChangedFields = {
    [Name in keyof Fields]: Fields[Name] | null;
};
export declare const OWN: number, PRICE: number, SIZE: number, INTEGER: number, TEXT: number;
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
 * Whether a known field, or one of a feed's own, can have this value.
 * @param {unknown} key
 * @param {unknown} value
 */
export declare function isValid(key: unknown, value: unknown): boolean;
/**
 * A scaled number as an exact decimal text.
 * @param {number} scaled
 * @param {number} scale
 */
export declare function decimalText(scaled: number, scale: number): string;
