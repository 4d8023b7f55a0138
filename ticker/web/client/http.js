/** Requests over HTTP, and the meaning of a refusal. */

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
