/** Requests over HTTP, and the meaning of a refusal. */

import { TickerError } from "./errors.js";

const RETRIED_STATUSES = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * Credentials are sent, because a token may be in a cookie.
 * @type {RequestInit}
 */
export const FETCH_OPTIONS = { cache: "no-store", credentials: "include" };

/** @typedef {typeof globalThis.fetch} Fetch */
/**
 * How a connection ended. `atOnce`: connect anew without a wait; `comeBack` false: do not connect again.
 * @typedef {{reason: string, comeBack?: boolean, retryMs?: number, atOnce?: boolean} & import("./errors.js").Failure} End
 */

/**
 * @param {string | undefined} token
 * @returns {Record<string, string>}
 */
export const authorization = (token) => (token === undefined ? {} : { Authorization: `Bearer ${token}` });

/**
 * The end that an HTTP answer other than 2xx means.
 * @param {Response} response
 * @returns {Promise<End>}
 */
export async function refusal(response) {
  const { status, headers } = response;
  const message = await response.json().then((body) => `: ${body.message}`, () => "");
  const retryMs = (Number(headers.get("Retry-After")) || 0) * 1000;
  const reason = `the server answered with HTTP status ${status}${message}`;
  return { reason, comeBack: RETRIED_STATUSES.has(status), code: status, status, retryMs };
}

/** Requests to one service. */
export class Http {
  #base;
  #fetch;
  #timeoutMs;

  /**
   * @param {string} base
   * @param {Fetch | null | undefined} fetch
   * @param {number} timeoutMs
   */
  constructor(base, fetch, timeoutMs) {
    this.#base = base;
    this.#fetch = fetch;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @param {string} path
   * @param {string | undefined} token
   */
  get(path, token) {
    if (!this.#fetch) throw new TickerError("there is no fetch here: give one as an option");
    const signal = AbortSignal.timeout(this.#timeoutMs);
    return this.#fetch(this.#base + path, { ...FETCH_OPTIONS, headers: authorization(token), signal });
  }

  /**
   * Ask whether the service answers this token. Returns its refusal, if it is one.
   * @param {string | undefined} token
   * @returns {Promise<End | undefined>}
   */
  async refusalOf(token) {
    const response = await this.get("/v1/instruments?match=-", token);
    if (!response.ok && response.status !== 404) return refusal(response);
    await response.body?.cancel();
  }
}
