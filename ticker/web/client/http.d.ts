/** Requests over HTTP, and the meaning of a refusal. */
/**
 * Credentials are sent, because a token may be in a cookie.
 * @type {RequestInit}
 */
export declare const FETCH_OPTIONS: RequestInit;
export type Fetch = typeof globalThis.fetch;
export type End = {
    reason: string;
    comeBack?: boolean;
    retryMs?: number;
    atOnce?: boolean;
} & import("./errors.js").Failure;
/** @typedef {typeof globalThis.fetch} Fetch */
/**
 * How a connection ended. `atOnce`: connect anew without a wait; `comeBack` false: do not connect again.
 * @typedef {{reason: string, comeBack?: boolean, retryMs?: number, atOnce?: boolean} & import("./errors.js").Failure} End
 */
/**
 * @param {string | undefined} token
 * @returns {Record<string, string>}
 */
export declare const authorization: (token: string | undefined) => Record<string, string>;
/**
 * The end that an HTTP answer other than 2xx means.
 * @param {Response} response
 * @returns {Promise<End>}
 */
export declare function refusal(response: Response): Promise<End>;
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
     * Ask whether the service answers this token. Returns its refusal, if it is one.
     * @param {string | undefined} token
     * @returns {Promise<End | undefined>}
     */
    refusalOf(token: string | undefined): Promise<End | undefined>;
}
