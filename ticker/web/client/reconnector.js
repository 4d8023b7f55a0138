/** The life of a client: one connection after another, over the transport that works, with the wait in between. */

import { Addresses } from "./addresses.js";
import { Connection } from "./connection.js";
import { Code, errorText } from "./errors.js";
import { Http, authorization, errorOf } from "./http.js";
import { Tokens } from "./tokens.js";
import { TransportChoice } from "./transport_choice.js";
import { openEvents, openWebSocket } from "./transports.js";
import { excerpt } from "./texts.js";
import { watchVisibility } from "./visibility.js";

/** @typedef {import("./events.js").State} State */
/** @typedef {import("./events.js").StateChange} StateChange */
/** @typedef {import("./http.js").End} End */
/** @typedef {import("./messages.js").Message} Message */
/** @typedef {import("./messages.js").Outcome} Outcome */
/** @typedef {import("./messages.js").Welcome} Welcome */
/** @typedef {import("./options.js").Options} Options */
/** @typedef {import("./options.js").Timing} Timing */
/** @typedef {import("./session.js").ClientSession} ClientSession */
/** @typedef {import("./session.js").Received} Received */
/** @typedef {import("./requests.js").Request} Request */
/** @typedef {import("./session.js").StreamRequest} StreamRequest */
/** @typedef {import("./transports.js").Receiver} Receiver */
/** @typedef {import("./transports.js").WebSocketClass} WebSocketClass */

/**
 * The client's handlers of the events of its connections. `failed`: requests without an answer get none.
 * @typedef {object} Handlers
 * @property {(state: State, more: Omit<StateChange, "state">, end?: End) => void} state
 * @property {(message: Message | null, received: Received) => void} message
 * @property {(outcomes: Outcome[]) => void} refused
 * @property {(end: End) => void} failed
 */

export class Reconnector {
  #addresses;
  #tokens;
  #intervalMs;
  #WebSocket;
  #fetch;
  #timing;
  #session;
  #handlers;
  #choice;
  /** @type {State} */
  #state = "connecting";
  #bytes = 0;
  /** @type {Connection | undefined} */
  #connection;
  /** Ends the present wait. */
  #wake = () => {};
  #unwatchPage = () => {};
  #synchronizing = false;
  #hidden = false;
  /** Waiting for a subscription, or for a visible page. */
  #idle = false;

  /**
   * @param {readonly string[]} bases
   * @param {Options} options
   * @param {Timing} timing
   * @param {ClientSession} session
   * @param {Handlers} handlers
   */
  constructor(bases, options, timing, session, handlers) {
    const { WebSocket = globalThis.WebSocket, fetch = globalThis.fetch } = options;
    const { token, intervalMs, transport = "auto", whenHidden = "pause" } = options;
    const needed = { websocket: WebSocket, events: fetch, auto: WebSocket || fetch }[transport];
    if (!needed) throw errorOf({ reason: `transport ${transport}: what it needs is not here; give WebSocket or fetch` });
    this.#addresses = new Addresses(bases, timing.backoffMs);
    session.servers = bases.length;
    this.#tokens = new Tokens(token);
    this.#intervalMs = intervalMs;
    this.#WebSocket = WebSocket;
    this.#fetch = fetch?.bind(globalThis);
    this.#timing = timing;
    this.#session = session;
    this.#handlers = handlers;
    this.#choice = new TransportChoice(transport, !!WebSocket, timing.eventsMs);
    if (whenHidden === "pause") this.#pauseWhileHidden();
    this.#keepConnected();
  }

  get state() {
    return this.#state;
  }

  /** The address of the present connection, or of the next attempt. */
  get base() {
    return this.#addresses.current;
  }

  get #http() {
    return new Http(this.base, this.#fetch, this.#timing.connectMs);
  }

  /** The transport of the present connection, or of the next attempt. */
  get transport() {
    return this.#choice.current;
  }

  /** Number of bytes of messages received (characters, of an event stream). */
  get bytes() {
    return this.#bytes;
  }

  /** Whether requests can be sent now. */
  get ready() {
    return this.#state === "connected" && this.transport === "websocket";
  }

  /** @param {Request} request */
  send(request) {
    this.#connection?.send(request);
  }

  /**
   * The instruments at a path, over HTTP.
   * @param {string} path
   */
  async found(path) {
    return this.#http.found(path, this.#tokens.last ?? (await this.#tokens.fresh()));
  }

  /**
   * Connect anew at once.
   * @param {string} reason
   */
  restart(reason) {
    this.#connection?.leave({ reason, atOnce: true });
  }

  /**
   * End for good.
   * @param {End} [end] none if the user closes the client
   */
  finish(end) {
    if (this.#closed) return;
    this.#unwatchPage();
    const { code, status, closeCode } = end ?? {};
    this.#become("closed", { reason: end?.reason ?? "it was closed", code, status, closeCode }, end);
    this.#connection?.leave({ reason: "it was closed" });
    this.#wake();
  }

  get #closed() {
    return this.#state === "closed";
  }

  /**
   * @param {State} state
   * @param {Omit<StateChange, "state">} [more]
   * @param {End} [end]
   */
  #become(state, more = {}, end = undefined) {
    this.#state = state;
    this.#handlers.state(state, more, end);
  }

  async #keepConnected() {
    await undefined; // the caller of `connect` adds its listeners first
    while (!this.#closed) {
      if (this.#hidden || (this.transport === "events" && !this.#session.wanting)) {
        this.#become("waiting", { reason: this.#hidden ? "the page is hidden" : "nothing is subscribed" });
        this.#idle = true;
        await this.#wait();
        this.#idle = false;
        continue;
      }
      this.#become("connecting");
      const { end, useful } = await this.#connectOnce();
      if (this.#closed) return;
      if (useful) this.#addresses.worked();
      if (end.atOnce && end.comeBack !== false) continue;
      const url = this.base;
      const retryMs = this.#addresses.leave(end, performance.now());
      if (retryMs === undefined) return this.finish(end);
      const { reason, code, status, closeCode } = end;
      this.#become("waiting", { reason, retryMs, url, code, status, closeCode }, end);
      await this.#wait(retryMs);
    }
  }

  /**
   * @param {number} [ms]
   * @returns {Promise<void>}
   */
  #wait(ms) {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /**
   * Connect, and serve until the connection ends.
   * @returns {Promise<{end: End, useful: boolean}>} `useful` if a REPLY came: who greets and then fails gets no haste
   */
  async #connectOnce() {
    let token;
    try {
      token = await this.#tokens.forConnection();
    } catch (error) {
      return { end: { reason: `no token could be had: ${excerpt(errorText(error))}` }, useful: false };
    }
    if (this.#hidden || this.#closed) return { end: { reason: "it is not needed", atOnce: true }, useful: false };
    this.#choice.choose(performance.now());
    const { end, useful, welcomed } = await this.#serve(token);
    if (end.refused) this.#session.refuseMessage();
    this.#handlers.failed(end);
    if (welcomed) this.#choice.worked();
    return { end: welcomed || this.#hidden ? end : await this.#explained(end, token), useful };
  }

  /**
   * Why there was no connection. A browser does not tell why a WebSocket failed, but HTTP does.
   * @param {End} end
   * @param {string | undefined} token
   * @returns {Promise<End>}
   */
  async #explained(end, token) {
    if (end.comeBack === false || end.atOnce) return end;
    if (this.transport === "events" || !this.#fetch) {
      return end.cause ? { ...end, reason: await this.#http.whyUnreachable(end.cause) } : end;
    }
    let refused;
    try {
      refused = await this.#http.refusalOf(token);
    } catch (error) {
      return { ...end, reason: await this.#http.whyUnreachable(error) };
    }
    if (refused) return refused;
    const switched = this.#choice.webSocketFailed(performance.now());
    return switched ? { reason: "a WebSocket cannot be had here", atOnce: true } : end;
  }

  /** @param {string | undefined} token */
  async #serve(token) {
    const session = this.#session;
    const request = this.transport === "events" ? session.streamRequest() : undefined;
    let useful = false;
    const connection = new Connection(!request, this.#timing.connectMs, {
      received: (size) => void (this.#bytes += size),
      welcome: (welcome) => {
        if (request) session.beginStream(welcome, request);
        else session.begin(welcome);
        this.#become("connected", { resumed: session.replica.resuming, url: this.base });
        this.synchronize();
      },
      message: (message) => {
        this.#receive(message, connection);
        useful ||= message?.kind === "reply";
      },
    });
    this.#connection = connection;
    connection.open((receiver) => this.#openTransport(request, token, receiver));
    const end = await connection.ended;
    if (this.#connection === connection) this.#connection = undefined;
    return { end, useful, welcomed: connection.welcomed };
  }

  /**
   * @param {StreamRequest | undefined} request
   * @param {string | undefined} token
   * @param {Receiver} receiver
   */
  #openTransport(request, token, receiver) {
    if (!request) return openWebSocket(this.base, token, /** @type {WebSocketClass} */ (this.#WebSocket), receiver);
    const { names, fields, lastEventId, refused } = request;
    if (refused.length > 0) this.#handlers.refused(refused);
    const headers = { ...authorization(token), ...(lastEventId !== undefined && { "Last-Event-ID": lastEventId }) };
    const interval = this.#intervalMs === undefined ? "" : `&interval_ms=${this.#intervalMs}`;
    const some = fields === undefined ? "" : `&fields=${encodeURIComponent(fields)}`;
    const query = `symbols=${names.map(encodeURIComponent).join(",")}${some}${interval}`;
    return openEvents(this.base, query, headers, /** @type {typeof fetch} */ (this.#fetch), receiver);
  }

  /**
   * @param {Message | null} message
   * @param {Connection} connection
   */
  #receive(message, connection) {
    const received = this.#session.receive(message);
    if (message?.kind === "goodbye") connection.announce({ ...message, reason: excerpt(message.reason) });
    if (message?.kind === "expiring") this.#renewToken();
    if (message?.kind === "error" && message.fatal) {
      const { code } = message;
      connection.announce({ reason: excerpt(message.text), comeBack: code === Code.BAD_TOKEN, code });
    }
    if (message?.kind === "reply" || message?.kind === "error") this.synchronize(); // names may have waited for this answer
    this.#handlers.message(message, received);
    if (received.behind) connection.leave({ reason: "this server has not caught up with the copy" });
    if (received.tokenRefused !== undefined) connection.leave({ reason: excerpt(received.tokenRefused) });
  }

  /** Bring the server's subscriptions in line with ours, once for all changes of the present task. */
  synchronize() {
    if (this.#synchronizing) return;
    this.#synchronizing = true;
    queueMicrotask(() => {
      this.#synchronizing = false;
      if (this.#idle && !this.#hidden && this.#session.wanting) this.#wake();
      if (this.#state !== "connected") return;
      if (this.transport === "events") {
        if (!this.#session.current) this.#connection?.leave({ reason: "other names are wanted", atOnce: true });
      } else for (const request of this.#session.requests()) this.#connection?.send(request);
    });
  }

  /** Send a fresh token before the present one expires. Without one the connection ends, and the next one asks again. */
  async #renewToken() {
    const connection = this.#connection;
    if (!this.#tokens.renewable) return;
    const fresh = await this.#tokens.fresh().catch(() => undefined);
    if (fresh === undefined || connection !== this.#connection) return;
    const changed = fresh !== this.#tokens.last;
    this.#tokens.last = fresh;
    if (this.transport === "websocket") connection?.send(this.#session.request("auth", { token: fresh }));
    else if (changed) {
      this.#tokens.keep(fresh);
      connection?.leave({ reason: "a fresh token was brought", atOnce: true });
    }
  }

  /** A hidden page stops its traffic, and catches up when it is visible. */
  #pauseWhileHidden() {
    const hide = () => {
      this.#hidden = true;
      this.#connection?.leave({ reason: "the page is hidden", atOnce: true });
    };
    const show = () => {
      if (!this.#hidden) return;
      this.#hidden = false;
      this.#wake();
    };
    this.#unwatchPage = watchVisibility(this.#timing.hiddenMs, hide, show);
  }
}
