/** The user's requests on a connection, each with its promise. */
import { TickerError } from "./errors.js";
export type Verdict = import("./verdict.js").Verdict;
export type Result = Map<string, unknown> | Verdict;
export type RequestFields = {
    symbols?: string[];
    forget?: string[];
    interval_ms?: number;
    epoch?: string;
    cursor?: number;
    token?: string;
    match?: string;
    after?: string;
    fields?: string[];
    selected?: [string[], string[]][];
};
export type Request = RequestFields & {
    op: string;
    id: number;
};
/** @typedef {import("./verdict.js").Verdict} Verdict */
/** @typedef {Map<string, unknown> | Verdict} Result */
/**
 * Fields of a request besides `op` and `id` (PROTOCOL.md, section 5).
 * @typedef {{
 *   symbols?: string[], forget?: string[], interval_ms?: number, epoch?: string, cursor?: number, token?: string,
 *   match?: string, after?: string, fields?: string[], selected?: [string[], string[]][],
 * }} RequestFields
 * @typedef {RequestFields & {op: string, id: number}} Request
 */
export declare class Requests {
    #private;
    /**
     * The result of the request with this id.
     * @param {number} id
     * @returns {Promise<Result>}
     */
    result(id: number): Promise<Result>;
    /**
     * Settle the request that a message answers, if it is one of these; a verification has a verdict.
     * @param {import("./messages.js").Reply | import("./messages.js").ErrorMessage} message
     * @param {Verdict} [verdict]
     */
    settle(message: import("./messages.js").Reply | import("./messages.js").ErrorMessage, verdict?: Verdict): void;
    /**
     * Reject all requests: the connection has ended.
     * @param {TickerError} error
     */
    fail(error: TickerError): void;
}
