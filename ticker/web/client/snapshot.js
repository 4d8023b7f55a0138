/** The present values of some instruments and tables, in one call. */

import { connect } from "./client.js";
import { TickerError } from "./errors.js";

/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./options.js").Token} Token */
/** @typedef {Record<string, Readonly<Fields>>} Snapshot */

const MAX_FAILURES = 2; // of each address: one WebSocket may fail before the event stream is tried

/**
 * The present values of symbols, tables and patterns, by name; what does not exist is not in it. Of a table these are all its
 * rows.
 * @param {import("./options.js").Addresses} url
 * @param {Iterable<string>} names
 * @param {{token?: Token, timeoutMs?: number, fields?: readonly string[]}} [options] with `fields`, only these of instruments, with
 *   `status` and `reason`
 * @returns {Promise<Snapshot>}
 * @throws {TickerError} if no connection can be had, or there is no complete answer in time
 */
export async function snapshot(url, names, { timeoutMs = 30_000, fields, ...options } = {}) {
  if (typeof names === "string") throw new TickerError("snapshot: names: a string; give a list, such as [\"EURUSD\"]");
  if (!(timeoutMs > 0)) throw new TickerError(`snapshot: timeoutMs: ${timeoutMs}; give a number of milliseconds above 0`);
  const client = connect(url, { ...options, whenHidden: "stream" });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  try {
    const failed = new Promise((_, reject) => {
      const addresses = Array.isArray(url) ? url.length : 1;
      let failures = 0;
      client.addEventListener("state", ({ state, reason, code, status, closeCode }) => {
        if (state !== "waiting" || ++failures < MAX_FAILURES * addresses) return;
        reject(new TickerError(`snapshot: ${reason}`, code, { status, closeCode }));
      });
      timer = setTimeout(() => reject(new TickerError(`snapshot: no complete answer in ${timeoutMs / 1000} s`)), timeoutMs);
    });
    const subscription = client.subscribe(...names, { fields });
    await Promise.race([subscription.complete(), failed]);
    return subscription.present;
  } finally {
    clearTimeout(timer);
    client.close();
  }
}
