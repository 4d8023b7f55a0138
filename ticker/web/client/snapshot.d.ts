/** The present values of some instruments and tables, in one call. */
export type Fields = import("./fields.js").Fields;
export type Token = import("./options.js").Token;
export type Snapshot = Record<string, Readonly<Fields>>;
/**
 * The present values of symbols, tables and patterns, by name; what does not exist is not in it. Of a table these are all its
 * rows.
 * @param {import("./options.js").Addresses} url
 * @param {Iterable<string>} names
 * @param {{token?: Token, timeoutMs?: number, fields?: readonly string[]}} [options] with `fields`, only these of instruments, with
 *   `status` and `reason`
 * @returns {Promise<Snapshot>}
 * @throws {TickerError} if no connection can be had, or there is no complete answer in time
 */
export declare function snapshot(url: import("./options.js").Addresses, names: Iterable<string>, { timeoutMs, fields, ...options }?: {
    token?: Token;
    timeoutMs?: number;
    fields?: readonly string[];
}): Promise<Snapshot>;
