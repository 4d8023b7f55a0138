/** The user's requests on a connection, each with its promise. */
import { TickerError } from "./errors.js";
export type Result = Map<string, unknown>;
/** @typedef {Map<string, unknown>} Result */
export declare class Requests {
    #private;
    /**
     * The result of the request with this id.
     * @param {number} id
     * @returns {Promise<Result>}
     */
    result(id: number): Promise<Result>;
    /**
     * Settle the request that a message answers, if it is one of these.
     * @param {import("./messages.js").Reply | import("./messages.js").ErrorMessage} message
     */
    settle(message: import("./messages.js").Reply | import("./messages.js").ErrorMessage): void;
    /**
     * Reject all requests: the connection has ended.
     * @param {TickerError} error
     */
    fail(error: TickerError): void;
}
