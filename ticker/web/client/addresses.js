/**
 * The addresses of a service, and when each of them may be tried again.
 *
 * Any server of a service can go on with a copy, so a client that has lost one tries the next address at once. Each has a
 * backoff of its own, and the wait that its server asked for: with all of them down, the client goes round as slowly as it
 * would call a single one. An address whose server has said that coming back is of no use is dropped.
 */

import { boundedWait } from "./http.js";

/** @typedef {import("./http.js").End} End */

export class Addresses {
  #least;
  #most;
  /**
   * The present one comes first. `ready`: the time from which on it may be tried.
   * @type {{base: string, backoff: number, ready: number}[]}
   */
  #row;

  /**
   * @param {readonly string[]} bases
   * @param {readonly number[]} backoffMs the least and the most
   */
  constructor(bases, [least, most]) {
    this.#least = least;
    this.#most = most;
    this.#row = bases.map((base) => ({ base, backoff: least, ready: -Infinity }));
  }

  /** The address of the present connection, or of the next attempt. */
  get current() {
    return this.#row[0].base;
  }

  /** A REPLY came from the present address: its backoff starts over. */
  worked() {
    this.#row[0].backoff = this.#least;
  }

  /**
   * The connection to the present address has ended: go on to the next one. Returns the milliseconds to wait before the
   * attempt there; undefined if coming back is of no use anywhere.
   * @param {End} end
   * @param {number} now
   */
  leave({ comeBack, retryMs = 0, spreadMs = 0 }, now) {
    const [left, ...others] = this.#row;
    const asked = boundedWait(retryMs) + Math.random() * spreadMs;
    left.ready = now + Math.max(asked, left.backoff * (0.5 + Math.random() / 2));
    left.backoff = Math.min(left.backoff * 2, this.#most);
    if (comeBack !== false) others.push(left);
    else if (others.length === 0) return undefined;
    const ready = others.map((each) => Math.max(each.ready, now));
    const next = ready.indexOf(Math.min(...ready));
    this.#row = [...others.slice(next), ...others.slice(0, next)];
    return ready[next] - now;
  }
}
