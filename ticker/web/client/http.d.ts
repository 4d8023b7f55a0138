/** Requests over HTTP, and the meaning of their answers and failures. */
import { TickerError } from "./errors.js";
/**
 * Credentials are sent, because a token may be in a cookie. A redirect is no answer of the service.
 * @type {RequestInit}
 */
export declare const FETCH_OPTIONS: RequestInit;
export type Fetch = typeof globalThis.fetch;
export type End = {
    reason: string;
    comeBack?: boolean;
    retryMs?: number;
    spreadMs?: number;
    atOnce?: boolean;
    cause?: unknown;
    refused?: boolean;
} & import("./errors.js").Failure;
/** @typedef {typeof globalThis.fetch} Fetch */
/**
 * How a connection ended. `atOnce`: connect anew without a wait; `comeBack` false: do not connect again; `spreadMs`: the
 * most that is added to `retryMs` at random; `cause`: the error of a platform that could not connect; `refused`: this client
 * refused a message.
 * @typedef {{
 *   reason: string, comeBack?: boolean, retryMs?: number, spreadMs?: number, atOnce?: boolean, cause?: unknown, refused?: boolean,
 * } & import("./errors.js").Failure} End
 */
/**
 * @param {string | undefined} token
 * @returns {Record<string, string>}
 */
export declare const authorization: (token: string | undefined) => Record<string, string>;
/**
 * The wait that a server asked for, within bounds.
 * @param {number} ms
 */
export declare const boundedWait: (ms: number) => number;
/** @param {End} end */
export declare const errorOf: ({ reason, code, status, closeCode }: End) => TickerError;
/**
 * The end that an HTTP answer means which brings no events: the server's refusal, if it has the service's own JSON
 * (PROTOCOL.md, section 2); otherwise something in between has answered, and that may pass.
 * @param {Response} response
 * @returns {Promise<End>}
 */
export declare function refusal(response: Response): Promise<End>;
/**
 * The end that an answer means which is not the service's.
 * @param {Response} response
 * @returns {End}
 */
export declare function stray({ status, type }: Response): End;
/** Requests to one service. */
export declare class Http {
    #private;
    /**
     * @param {string} base
     * @param {Fetch | null | undefined} fetch
     * @param {number} timeoutMs
     */
    constructor(base: string, fetch: Fetch | null | undefined, timeoutMs: number);
    /**
     * @param {string} path
     * @param {string | undefined} token
     */
    get(path: string, token: string | undefined): Promise<Response>;
    /**
     * The instruments that an address brings. Raises TickerError for a refusal, and for an answer that is not the service's.
     * @param {string} path
     * @param {string | undefined} token
     * @returns {Promise<import("./instruments.js").Answer>}
     */
    found(path: string, token: string | undefined): Promise<import("./instruments.js").Answer>;
    /**
     * Ask whether the service answers this token. Returns its refusal, or the end that the answer of something else means.
     * @param {string | undefined} token
     * @returns {Promise<End | undefined>}
     */
    refusalOf(token: string | undefined): Promise<End | undefined>;
    /**
     * Why no connection can be had, as far as the platform tells.
     * @param {unknown} error
     */
    whyUnreachable(error: unknown): Promise<string>;
}
