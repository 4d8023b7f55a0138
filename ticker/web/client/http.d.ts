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
