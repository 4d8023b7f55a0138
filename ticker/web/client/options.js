/** Options of the client, its address, and its timing. */

import { TickerError } from "./errors.js";

/** @typedef {import("./transports.js").WebSocketClass} WebSocketClass */
/** @typedef {"websocket" | "events"} TransportName */

/**
 * A token, or a function that brings a fresh one: for each connection, and shortly before the present token expires.
 * @typedef {string | (() => string | Promise<string>)} Token
 */
/**
 * @typedef {object} Options
 * @property {Token} [token]
 * @property {number} [intervalMs] At most one message in so many milliseconds.
 * @property {"auto" | TransportName} [transport] `auto`, the default: a WebSocket, or the event stream after a WebSocket
 *   failed twice in a row although HTTP works. The first new connection five minutes later tries a WebSocket again.
 * @property {WebSocketClass | null} [WebSocket] For platforms without one, such as Node 20: that of the package `ws`.
 * @property {typeof fetch | null} [fetch]
 * @property {"pause" | "stream"} [whenHidden] Whether a page that is hidden for some seconds stops its traffic until it
 *   is visible: `pause`, the default.
 */

/**
 * @typedef {object} SubscribeOptions
 * @property {readonly string[]} [fields] Of instruments only these fields, with `status` and `reason`; left out, all.
 */

/**
 * How long the client waits, in milliseconds: for WELCOME and HTTP answers, between connections (least and most), before a
 * hidden page counts as hidden, before a WebSocket is tried again after the event stream, and before a name without an
 * instrument is reported.
 * @typedef {{connectMs: number, backoffMs: readonly number[], hiddenMs: number, eventsMs: number, unmatchedMs: number}} Timing
 */
/** @type {Timing} */
export const TIMING = Object.freeze({
  connectMs: 10_000,
  backoffMs: Object.freeze([250, 15_000]),
  hiddenMs: 3_000,
  eventsMs: 300_000,
  unmatchedMs: 5_000,
});

/** One address of a service, or several of the same. @typedef {string | URL | readonly (string | URL)[]} Addresses */

/**
 * The service's addresses, each once.
 * @param {Addresses | undefined} url
 */
export function basesOf(url) {
  const bases = Array.isArray(url) ? [...new Set(url.map(baseOf))] : [baseOf(/** @type {string | URL | undefined} */ (url))];
  if (bases.length === 0) throw new TickerError("url: an empty list; give at least one address: https://HOST:PORT");
  return bases;
}

/**
 * An address without the stream's path: https://HOST:PORT.
 * @param {string | URL | undefined} url
 */
function baseOf(url) {
  let parts;
  try {
    parts = new URL(/** @type {string | URL} */ (url));
  } catch {
    throw new TickerError(`url ${url}: give https://HOST:PORT`);
  }
  if (parts.protocol !== "https:" && parts.protocol !== "wss:") {
    throw new TickerError(`url ${url}: give https://HOST:PORT; prices travel over TLS only`);
  }
  return `https://${parts.host}${parts.pathname.replace(/(\/v1\/stream)?\/*$/, "")}`;
}
