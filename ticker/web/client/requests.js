/** The user's requests on a connection, each with its promise. */

import { TickerError } from "./errors.js";
import { excerpt } from "./texts.js";

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

export class Requests {
  /** @type {Map<number, {resolve: (result: Result) => void, reject: (error: TickerError) => void}>} */
  #waiting = new Map();

  /**
   * The result of the request with this id.
   * @param {number} id
   * @returns {Promise<Result>}
   */
  result(id) {
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  /**
   * Settle the request that a message answers, if it is one of these; a verification has a verdict.
   * @param {import("./messages.js").Reply | import("./messages.js").ErrorMessage} message
   * @param {Verdict} [verdict]
   */
  settle(message, verdict) {
    if (message.id === null) return;
    const request = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.kind === "reply") request?.resolve(verdict ?? message.result);
    else request?.reject(new TickerError(excerpt(message.text), message.code));
  }

  /**
   * Reject all requests: the connection has ended.
   * @param {TickerError} error
   */
  fail(error) {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
