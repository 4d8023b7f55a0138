/** Checks of arguments that users give: each error names the argument and the remedy. */
import { TickerError } from "./errors.js";
/**
 * Check the arguments of `subscribe`.
 * @param {unknown[]} names
 */
export declare function checkNames(names: unknown[]): void;
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
 * The error for more names than the server takes on one connection.
 * @param {string} text
 */
export declare function tooMany(text: string): TickerError;
