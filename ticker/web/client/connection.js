/**
 * One connection, from its first byte to its end: WELCOME comes first, then messages; silence ends it.
 *
 * The transport is opened with `open`, and messages go to `welcome` and `message`, which raise TickerError for one that
 * breaks the protocol. `ended` settles once, with the server's reason for the end if it gave one.
 */

import { TickerError, errorText, malformed } from "./errors.js";
import { decode } from "./messages.js";
import { excerpt } from "./texts.js";

/** @typedef {import("./messages.js").Message} Message */
/** @typedef {import("./messages.js").Welcome} Welcome */
/** @typedef {import("./http.js").End} End */
/** @typedef {import("./transports.js").Receiver} Receiver */
/** @typedef {import("./transports.js").Transport} Transport */

const MAX_TIMER_MS = 2 ** 31 - 1;
const HEARTBEATS = 2.5; // missed ones after which a connection counts as lost
const GRACE_MS = 1000;
const MAX_MESSAGE = 2 ** 26; // bytes

/**
 * @typedef {object} Handlers
 * @property {(size: number) => void} received
 * @property {(welcome: Welcome) => void} welcome
 * @property {(message: Message | null) => void} message
 */

export class Connection {
  #handlers;
  #binary;
  #timeoutMs;
  #heardAt = performance.now();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Transport | undefined} */
  #transport;
  /**
   * The end as the server announced it.
   * @type {End | undefined}
   */
  #announced;
  #over = false;
  /** @type {(end: End) => void} */
  #resolve = () => {};

  /** Whether WELCOME has come. */
  welcomed = false;
  /** @type {Promise<End>} */
  ended = new Promise((resolve) => (this.#resolve = resolve));

  /**
   * @param {boolean} binary
   * @param {number} connectMs time until WELCOME has to come
   * @param {Handlers} handlers
   */
  constructor(binary, connectMs, handlers) {
    this.#binary = binary;
    this.#timeoutMs = connectMs;
    this.#handlers = handlers;
  }

  /**
   * Open the transport.
   * @param {(receiver: Receiver) => Transport} openTransport
   */
  open(openTransport) {
    this.#checkSilence();
    const receiver = {
      message: (/** @type {ArrayBuffer | string} */ payload, /** @type {number} */ size) => this.#receive(payload, size),
      heard: () => void (this.#heardAt = performance.now()),
      end: (/** @type {End} */ end) => this.#lost(end),
    };
    try {
      this.#transport = openTransport(receiver);
      if (this.#over) this.#transport.close(); // left meanwhile, by a listener
    } catch (error) {
      this.leave({ reason: errorText(error), comeBack: false });
    }
  }

  /** @param {object} request */
  send(request) {
    this.#transport?.send(request);
  }

  /**
   * The server announced the end of this connection.
   * @param {End} end
   */
  announce(end) {
    this.#announced = end;
  }

  /**
   * End this connection from here.
   * @param {End} end
   */
  leave(end) {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#transport?.close();
    this.#transport = undefined;
    this.#resolve(end);
  }

  /**
   * The transport ended. The server's announcement counts before the way in which the connection ended.
   * @param {End} end
   */
  #lost(end) {
    // Before WELCOME, something in between may have closed it: that ends nothing for good, but for a refusal over HTTP.
    const final = end.comeBack === false && (this.welcomed || end.status !== undefined);
    this.leave({ ...end, comeBack: undefined, ...this.#announced, ...(final && { comeBack: false }) });
  }

  #checkSilence(late = false) {
    const left = this.#heardAt + this.#timeoutMs - performance.now();
    // A page that was busy, or asleep, first receives the messages that wait for it.
    if (left > 0) this.#timer = setTimeout(() => this.#checkSilence(), left);
    else if (!late) this.#timer = setTimeout(() => this.#checkSilence(true), GRACE_MS);
    else this.leave({ ...this.#announced, reason: `nothing was heard for ${Math.round(this.#timeoutMs / 1000)} s` });
  }

  /**
   * @param {ArrayBuffer | string} payload
   * @param {number} size
   */
  #receive(payload, size) {
    if (this.#over) return;
    this.#heardAt = performance.now();
    this.#handlers.received(size);
    try {
      if (size > MAX_MESSAGE) throw malformed(`a message of more than ${MAX_MESSAGE} bytes`);
      if (this.#binary && typeof payload === "string") throw malformed("a text message on a binary connection");
      const message = decode(payload);
      if (this.welcomed) this.#handlers.message(message);
      else if (message?.kind === "welcome") this.#begin(message);
      else throw malformed("the first message of a connection is WELCOME");
    } catch (error) {
      this.leave({ reason: `the server broke the protocol: ${excerpt(errorText(error))}`, refused: true });
      if (!(error instanceof TickerError)) throw error;
    }
  }

  /** @param {Welcome} welcome */
  #begin(welcome) {
    this.welcomed = true;
    this.#timeoutMs = welcome.heartbeatMs > 0 ? HEARTBEATS * welcome.heartbeatMs : MAX_TIMER_MS;
    clearTimeout(this.#timer);
    this.#checkSilence();
    this.#handlers.welcome(welcome);
  }
}
