/** Requests over HTTP, and the meaning of their answers and failures. */

import { TickerError } from "./errors.js";
import { excerpt } from "./texts.js";
import { whyUnreachable } from "./unreachable.js";

const RETRIED_STATUSES = new Set([408, 425, 429, 500, 502, 503, 504]);
const MAX_ANSWER_BYTES = 4 * 2 ** 20; // of an answer that is read whole
const MAX_RETRY_SECONDS = 86_400; // the longest wait that a server can ask for

/**
 * Credentials are sent, because a token may be in a cookie. A redirect is no answer of the service.
 * @type {RequestInit}
 */
export const FETCH_OPTIONS = { cache: "no-store", credentials: "include", redirect: "manual" };

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
export const authorization = (token) => (token === undefined ? {} : { Authorization: `Bearer ${token}` });

/**
 * The wait that a server asked for, within bounds.
 * @param {number} ms
 */
export const boundedWait = (ms) => Math.min(ms, MAX_RETRY_SECONDS * 1000);

/** @param {End} end */
export const errorOf = ({ reason, code, status, closeCode }) => new TickerError(reason, code, { status, closeCode });

/**
 * The end that an HTTP answer means which brings no events: the server's refusal, if it has the service's own JSON
 * (PROTOCOL.md, section 2); otherwise something in between has answered, and that may pass.
 * @param {Response} response
 * @returns {Promise<End>}
 */
export async function refusal(response) {
  const { status, headers } = response;
  const body = await json(response);
  const seconds = Number(/^ *([0-9]{1,9}) *$/.exec(headers.get("Retry-After") ?? "")?.[1] ?? 0);
  const retryMs = boundedWait(seconds * 1000);
  const wait = { retryMs, spreadMs: retryMs };
  if (body?.code === status && typeof body.message === "string") {
    const reason = `the server answered with HTTP status ${status}: ${excerpt(body.message)}`;
    return { reason, comeBack: RETRIED_STATUSES.has(status), code: status, status, ...wait };
  }
  return { ...stray(response), ...wait };
}

/**
 * The end that an answer means which is not the service's.
 * @param {Response} response
 * @returns {End}
 */
export function stray({ status, type }) {
  const what = type === "opaqueredirect" ? "a redirect" : `HTTP status ${status}`;
  const known = status > 0 && { code: status, status };
  return { reason: `something in between answered, with ${what}; it is not a Ticker service`, ...known };
}

/**
 * The answer's JSON if it is an object, of at most some megabytes.
 * @param {Response} response
 * @returns {Promise<Record<string, unknown> | undefined>}
 */
async function json(response) {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    while (reader && text.length <= MAX_ANSWER_BYTES) {
      const { done, value } = await reader.read();
      text += decoder.decode(value, { stream: !done });
      if (done) return Object(JSON.parse(text));
    }
  } catch {
    return undefined; // cut off, or not JSON
  }
  await reader?.cancel().catch(() => {});
  return undefined;
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
   * The instruments that an address brings. Raises TickerError for a refusal, and for an answer that is not the service's.
   * @param {string} path
   * @param {string | undefined} token
   * @returns {Promise<import("./instruments.js").Answer>}
   */
  async found(path, token) {
    const response = await this.get(path, token);
    if (!response.ok) throw errorOf(await refusal(response));
    const body = await json(response);
    if (!Array.isArray(body?.instruments)) throw errorOf(stray(response));
    return /** @type {import("./instruments.js").Answer} */ (/** @type {unknown} */ (body));
  }

  /**
   * Ask whether the service answers this token. Returns its refusal, or the end that the answer of something else means.
   * @param {string | undefined} token
   * @returns {Promise<End | undefined>}
   */
  async refusalOf(token) {
    const response = await this.get("/v1/instruments?match=-", token);
    if (!response.ok) {
      const end = await refusal(response);
      return end.status === 404 && end.comeBack === false ? undefined : end;
    }
    return Array.isArray((await json(response))?.instruments) ? undefined : stray(response);
  }

  /**
   * Why no connection can be had, as far as the platform tells.
   * @param {unknown} error
   */
  whyUnreachable(error) {
    return whyUnreachable(error, this.#base, this.#fetch, this.#timeoutMs);
  }
}
