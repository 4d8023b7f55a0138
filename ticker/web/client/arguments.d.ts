/** Checks of arguments that users give: each error names the argument and the remedy. */
import { TickerError } from "./errors.js";
/**
 * Check the arguments of `subscribe`.
 * @param {unknown[]} names
 */
export declare function checkNames(names: unknown[]): void;
/**
 * The names and options of `subscribe`: the options stand last.
 * @param {readonly unknown[]} given
 * @returns {{names: string[], fields: string | undefined}}
 */
export declare function subscribed(given: readonly unknown[]): {
    names: string[];
    fields: string | undefined;
};
/**
 * The fields that are wanted, as one text; undefined for all of them.
 * @param {string} method
 * @param {unknown} fields
 */
export declare function wantedFields(method: string, fields: unknown): string | undefined;
/**
 * Check the arguments for a table of an instrument.
 * @param {string} method
 * @param {unknown} symbol
 * @param {string} counted
 * @param {unknown} count
 */
export declare function checkTable(method: string, symbol: unknown, counted: string, count: unknown): void;
/**
 * Check the period of candles.
 * @param {unknown} period
 */
export declare function checkPeriod(period: unknown): void;
/**
 * Check the types of the options of `connect`.
 * @param {import("./options.js").Options} options
 */
export declare function checkOptions(options: import("./options.js").Options): void;
/**
 * Check names against the limits of the connection, as far as its WELCOME has told them.
 * @param {Set<string>} names
 * @param {Map<string, number>} limits
 */
export declare function checkCounts(names: Set<string>, limits: Map<string, number>): void;
/**
 * The error for more names, or more tables of them, than the server takes on one connection.
 * @param {string} text
 * @param {number} [code]
 */
export declare function tooMany(text: string, code?: number): TickerError;
