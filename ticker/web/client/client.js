/** The client: it keeps a connection, over the transport that works, and feeds the subscriptions. */

import { Connection } from "./connection.js";
import { Code, TickerError, errorText } from "./errors.js";
import { TypedEventTarget, changeOf, eventOf } from "./events.js";
import { Http, authorization, refusal } from "./http.js";
import { describe, foundInAnswer, foundInReply } from "./instruments.js";
import { isNatural } from "./messages.js";
import { TIMING, baseOf } from "./options.js";
import { Requests } from "./requests.js";
import { ClientSession } from "./session.js";
import { Subscription } from "./subscription.js";
import { Tokens } from "./tokens.js";
import { TransportChoice } from "./transport_choice.js";
import { openEvents, openWebSocket } from "./transports.js";
import { watchVisibility } from "./visibility.js";

/** @typedef {import("./events.js").ChangeEvent} ChangeEvent */
/** @typedef {import("./events.js").RefusedEvent} RefusedEvent */
/** @typedef {import("./events.js").State} State */
/** @typedef {import("./events.js").StateChange} StateChange */
/** @typedef {import("./events.js").StateEvent} StateEvent */
/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./http.js").End} End */
/** @typedef {import("./messages.js").Message} Message */
/** @typedef {import("./instruments.js").Found} Found */
/** @typedef {import("./options.js").Options} Options */
/** @typedef {import("./options.js").Timing} Timing */
/** @typedef {import("./session.js").RequestFields} RequestFields */
/** @typedef {import("./session.js").StreamRequest} StreamRequest */
/** @typedef {import("./transports.js").Receiver} Receiver */
/** @typedef {import("./transports.js").WebSocketClass} WebSocketClass */
/** @typedef {{change: ChangeEvent, state: StateEvent, refused: RefusedEvent}} ClientEvents */

/**
 * Connect to a service, and stay connected until `close`.
 * @param {string | URL} [url] https or wss://HOST:PORT; in a page, its own origin if left out
 * @param {Options} [options]
 * @returns {Client}
 * @throws {TickerError} if the address or an option cannot be used
 */
export function connect(url = globalThis.location?.origin, options = {}) {
  return new Client(baseOf(url), options);
}

/**
 * A connection to a service that lasts until `close`.
 * @extends {TypedEventTarget<ClientEvents>}
 */
export class Client extends TypedEventTarget {
  #base;
  #tokens;
  #intervalMs;
  #WebSocket;
  #fetch;
  #http;
  #timing;
  #session;
  /** @type {State} */
  #state = "connecting";
  #choice;
  #updates = 0;
  #bytes = 0;
  /** @type {Set<Subscription>} */
  #subscriptions = new Set();
  /** @type {Connection | undefined} */
  #connection;
  /** Ends the present wait. */
  #wake = () => {};
  #unwatchPage = () => {};
  #synchronizing = false;
  #hidden = false;
  /** Waiting for a subscription, or for a visible page. */
  #idle = false;
  #requests = new Requests();
  /** @type {TickerError | undefined} */
  #error;

  /**
   * @param {string} base
   * @param {Options} options
   * @param {Timing} timing
   */
  constructor(base, options, timing = TIMING) {
    const { WebSocket = globalThis.WebSocket, fetch = globalThis.fetch } = options;
    const { token, intervalMs, transport = "auto", whenHidden = "pause" } = options;
    super();
    const needed = { websocket: WebSocket, events: fetch, auto: WebSocket || fetch }[transport];
    if (intervalMs !== undefined && !isNatural(intervalMs)) throw new TickerError("intervalMs is a whole number");
    if (!needed) throw new TickerError(`transport ${transport}: what it needs is not here; give WebSocket or fetch`);
    this.#base = base;
    this.#tokens = new Tokens(token);
    this.#intervalMs = intervalMs;
    this.#WebSocket = WebSocket;
    this.#fetch = fetch?.bind(globalThis);
    this.#http = new Http(base, this.#fetch, timing.connectMs);
    this.#timing = timing;
    this.#session = new ClientSession(intervalMs);
    this.#choice = new TransportChoice(transport, !!WebSocket, timing.eventsMs);
    if (whenHidden === "pause") this.#pauseWhileHidden();
    this.#keepConnected();
  }

  /** @returns {State} */
  get state() {
    return this.#state;
  }

  /** The transport of the present connection, or of the next attempt. */
  get transport() {
    return this.#choice.current;
  }

  /** The cut through which the copy is complete. */
  get cut() {
    return this.#session.replica.cursor;
  }

  /** Time of that cut. */
  get time() {
    return new Date(this.#session.replica.time / 1000);
  }

  /** Number of changed instruments received. */
  get updates() {
    return this.#updates;
  }

  /** Number of bytes of messages received (characters, of an event stream). */
  get bytes() {
    return this.#bytes;
  }

  /**
   * Subscribe symbols and patterns.
   * @param {...string} names
   */
  subscribe(...names) {
    names = names.map(String);
    const subscription = new Subscription(names, this.#session.replica, (closed) => {
      if (!this.#subscriptions.delete(closed)) return;
      this.#session.giveUp(names);
      this.#synchronize();
    });
    if (this.#state === "closed") {
      subscription.end(this.#error);
      return subscription;
    }
    this.#subscriptions.add(subscription);
    this.#session.want(names);
    this.#synchronize();
    return subscription;
  }

  /**
   * The present values of an instrument; empty if there are none.
   * @param {string} symbol
   * @returns {Fields}
   */
  values(symbol) {
    return this.#session.replica.find(symbol)?.present() ?? Object.create(null);
  }

  /**
   * A present value as a number, for charts; NaN if there is none.
   * @param {string} symbol
   * @param {string} field
   */
  number(symbol, field) {
    return Number(this.values(symbol)[field] ?? NaN);
  }

  /**
   * The definition of a subscribed instrument.
   * @param {string} symbol
   */
  instrument(symbol) {
    const known = this.#session.replica.definition(symbol);
    return known && describe(known);
  }

  /**
   * At most 500 instruments of the service, ordered by symbol, that come after the symbol `after`.
   * @param {string} [match]
   * @param {{after?: string}} [options]
   * @returns {Promise<Found>}
   */
  async search(match = "*", { after = "" } = {}) {
    if (this.#ready) return foundInReply(await this.#request("instruments", { match, after }));
    const query = new URLSearchParams({ match, after });
    const response = await this.#http.get(`/v1/instruments?${query}`, this.#tokens.last ?? (await this.#tokens.fresh()));
    if (!response.ok) throw errorOf(await refusal(response));
    return foundInAnswer(await response.json());
  }

  /**
   * Counters of this connection (PROTOCOL.md, section 5); WebSocket only.
   * @returns {Promise<Record<string, number>>}
   */
  async stats() {
    return Object.fromEntries(/** @type {Map<string, number>} */ (await this.#request("stats", {})));
  }

  /** The round trip in milliseconds; WebSocket only. */
  async ping() {
    const sent = performance.now();
    await this.#request("ping", {});
    return performance.now() - sent;
  }

  /** End all subscriptions and the connection. */
  close() {
    this.#finish();
  }

  /** Whether requests can be sent now. */
  get #ready() {
    return this.#state === "connected" && this.transport === "websocket";
  }

  get #closed() {
    return this.#state === "closed";
  }

  /**
   * @param {string} op
   * @param {RequestFields} fields
   * @returns {Promise<Map<string, unknown>>}
   */
  #request(op, fields) {
    if (!this.#ready) return Promise.reject(new TickerError(`${op}: there is no WebSocket at the moment`));
    const request = this.#session.request(op, fields);
    const result = this.#requests.result(request.id);
    this.#connection?.send(request);
    return result;
  }

  /** @param {End} [end] */
  #finish(end) {
    if (this.#closed) return;
    this.#error = end && errorOf(end);
    this.#unwatchPage();
    const { code, status, closeCode } = end ?? {};
    this.#become("closed", { reason: end?.reason ?? "it was closed", code, status, closeCode });
    this.#connection?.leave({ reason: "it was closed" });
    this.#wake();
    for (const subscription of this.#subscriptions) subscription.end(this.#error);
    this.#subscriptions.clear();
  }

  /**
   * @param {State} state
   * @param {Omit<StateChange, "state">} [more]
   */
  #become(state, more = {}) {
    this.#state = state;
    this.dispatchEvent(eventOf("state", { state, ...more }));
  }

  async #keepConnected() {
    await undefined; // the caller of `connect` adds its listeners first
    const [least, most] = this.#timing.backoffMs;
    let backoff = least;
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
      if (end.comeBack === false) return this.#finish(end);
      if (useful || end.atOnce) backoff = least;
      if (end.atOnce) continue;
      const retryMs = Math.max(end.retryMs ?? 0, backoff * (0.5 + Math.random() / 2));
      backoff = Math.min(backoff * 2, most);
      const { reason, code, status, closeCode } = end;
      this.#become("waiting", { reason, retryMs, code, status, closeCode });
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
   * @returns {Promise<{end: End, useful: boolean}>} `useful` if the copy was complete for once
   */
  async #connectOnce() {
    let token;
    try {
      token = await this.#tokens.forConnection();
    } catch (error) {
      return { end: { reason: `no token could be had: ${errorText(error)}` }, useful: false };
    }
    if (this.#hidden || this.#closed) return { end: { reason: "it is not needed", atOnce: true }, useful: false };
    this.#choice.choose(performance.now());
    const { end, useful, welcomed } = await this.#serve(token);
    this.#requests.fail(errorOf(end));
    if (welcomed) this.#choice.worked();
    const unexplained = !welcomed && this.transport === "websocket" && end.comeBack !== false && !this.#hidden;
    return { end: unexplained && this.#fetch ? await this.#explained(end, token) : end, useful };
  }

  /**
   * Why a WebSocket failed: a browser does not tell, but HTTP does.
   * @param {End} end
   * @param {string | undefined} token
   * @returns {Promise<End>}
   */
  async #explained(end, token) {
    let refused;
    try {
      refused = await this.#http.refusalOf(token);
    } catch (error) {
      return { ...end, reason: errorText(error) };
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
        this.#become("connected", { resumed: session.replica.resuming });
        this.#synchronize();
      },
      message: (message) => {
        this.#receive(message, connection);
        useful ||= session.settled;
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
    if (!request) return openWebSocket(this.#base, token, /** @type {WebSocketClass} */ (this.#WebSocket), receiver);
    const { names, lastEventId, refused } = request;
    for (const each of refused) this.dispatchEvent(eventOf("refused", each));
    const headers = { ...authorization(token), ...(lastEventId !== undefined && { "Last-Event-ID": lastEventId }) };
    const interval = this.#intervalMs === undefined ? "" : `&interval_ms=${this.#intervalMs}`;
    const query = `symbols=${names.map(encodeURIComponent).join(",")}${interval}`;
    return openEvents(this.#base, query, headers, /** @type {typeof fetch} */ (this.#fetch), receiver);
  }

  /**
   * @param {Message | null} message
   * @param {Connection} connection
   */
  #receive(message, connection) {
    const received = this.#session.receive(message);
    if (message?.kind === "goodbye") connection.announce(message);
    if (message?.kind === "expiring") this.#renewToken();
    if (message?.kind === "error" && message.fatal) {
      connection.announce({ reason: message.text, comeBack: message.code === Code.BAD_TOKEN, code: message.code });
    }
    if (message?.kind === "reply" || message?.kind === "error") {
      this.#requests.settle(message);
      this.#synchronize(); // some names may have waited for this answer
    }
    for (const each of received.refused) this.dispatchEvent(eventOf("refused", each));
    if (received.changes) this.#publish(received.changes);
    if (received.tokenRefused !== undefined) connection.leave({ reason: received.tokenRefused });
  }

  /** @param {Record<string, ChangedFields>} changes */
  #publish(changes) {
    const count = Object.keys(changes).length;
    if (count === 0) return;
    this.#updates += count;
    for (const subscription of this.#subscriptions) subscription.take(changes);
    this.dispatchEvent(eventOf("change", { change: changeOf(this.#session.replica, changes) }));
  }

  /** Bring the server's subscriptions in line with ours, once for all changes of the present task. */
  #synchronize() {
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

/** @param {End} end */
const errorOf = ({ reason, code, status, closeCode }) => new TickerError(reason, code, { status, closeCode });
