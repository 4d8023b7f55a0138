/**
 * The choice between the transports.
 *
 * `auto` begins with a WebSocket. After two in a row that failed although HTTP works, the event stream is used; the first
 * connection after some minutes tries a WebSocket again.
 */

/** @typedef {import("./options.js").TransportName} TransportName */

const FAILURES = 2;

export class TransportChoice {
  #preferred;
  #hasWebSocket;
  #eventsMs;
  #failures = 0;
  #eventsUntil = 0;

  /** @type {TransportName} */
  current;

  /**
   * @param {"auto" | TransportName} preferred
   * @param {boolean} hasWebSocket
   * @param {number} eventsMs time for which the event stream stays chosen
   */
  constructor(preferred, hasWebSocket, eventsMs) {
    this.#preferred = preferred;
    this.#hasWebSocket = hasWebSocket;
    this.#eventsMs = eventsMs;
    this.current = preferred === "events" || !hasWebSocket ? "events" : "websocket";
  }

  /**
   * Choose for the next connection.
   * @param {number} now
   */
  choose(now) {
    if (this.#preferred === "auto" && this.#hasWebSocket && now > this.#eventsUntil) this.current = "websocket";
  }

  /** A connection worked. */
  worked() {
    this.#failures = 0;
  }

  /**
   * A WebSocket failed although HTTP works. Returns whether the event stream is chosen now.
   * @param {number} now
   */
  webSocketFailed(now) {
    if (this.#preferred !== "auto" || ++this.#failures < FAILURES) return false;
    this.current = "events";
    this.#eventsUntil = now + this.#eventsMs;
    return true;
  }
}
