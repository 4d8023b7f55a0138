/** The client: subscriptions, values and requests over a connection that lasts. */

import { checkCounts, checkNames, checkOptions, tooMany } from "./arguments.js";
import { Code, TickerError } from "./errors.js";
import { TypedEventTarget, changeOf, eventOf } from "./events.js";
import { errorOf } from "./http.js";
import { describe, foundInAnswer, foundInReply } from "./instruments.js";
import { Notices } from "./notices.js";
import { TIMING, baseOf } from "./options.js";
import { Reconnector } from "./reconnector.js";
import { Requests } from "./requests.js";
import { ClientSession } from "./session.js";
import { Subscription } from "./subscription.js";
import { isPattern, matcherOf } from "./symbols.js";
import { excerpt } from "./texts.js";

/** @typedef {import("./events.js").ChangeEvent} ChangeEvent */
/** @typedef {import("./events.js").RefusedEvent} RefusedEvent */
/** @typedef {import("./events.js").State} State */
/** @typedef {import("./events.js").StateChange} StateChange */
/** @typedef {import("./events.js").StateEvent} StateEvent */
/** @typedef {import("./events.js").UnmatchedEvent} UnmatchedEvent */
/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./http.js").End} End */
/** @typedef {import("./messages.js").Message} Message */
/** @typedef {import("./messages.js").Outcome} Outcome */
/** @typedef {import("./instruments.js").Found} Found */
/** @typedef {import("./options.js").Options} Options */
/** @typedef {import("./options.js").Timing} Timing */
/** @typedef {import("./session.js").Received} Received */
/** @typedef {import("./session.js").RequestFields} RequestFields */
/** @typedef {{change: ChangeEvent, state: StateEvent, refused: RefusedEvent, unmatched: UnmatchedEvent}} ClientEvents */

/** @type {Readonly<Fields>} */
const NO_VALUES = Object.freeze(Object.create(null));

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
  #session;
  #notices;
  #reconnector;
  #updates = 0;
  /** @type {Set<Subscription>} */
  #subscriptions = new Set();
  #requests = new Requests();
  /** @type {TickerError | undefined} */
  #error;

  /**
   * @param {string} base
   * @param {Options} options
   * @param {Timing} timing
   */
  constructor(base, options, timing = TIMING) {
    super();
    checkOptions(options);
    const session = new ClientSession(options.intervalMs);
    this.#session = session;
    this.#notices = new Notices(this, () => this.#unmatched(), timing.unmatchedMs);
    this.#reconnector = new Reconnector(base, options, timing, session, {
      state: (state, more, end) => this.#became(state, more, end),
      message: (message, received) => this.#process(message, received),
      refused: (outcomes) => this.#refuse(outcomes),
      failed: (end) => this.#requests.fail(errorOf(end)),
    });
  }

  /** @returns {State} */
  get state() {
    return this.#reconnector.state;
  }

  /** The transport of the present connection, or of the next attempt. */
  get transport() {
    return this.#reconnector.transport;
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
    return this.#reconnector.bytes;
  }

  /**
   * Subscribe symbols and patterns. With more names than one connection may have it raises, or, if the limit is not
   * known yet, the subscription ends with that error.
   * @param {...string} names
   * @throws {TickerError} for anything but texts, and for too many names
   */
  subscribe(...names) {
    checkNames(names);
    checkCounts(new Set([...this.#session.wanted, ...names]), this.#session.limits);
    const held = !this.#session.hasAllOf(names);
    const subscription = new Subscription(names, this.#session.replica, held, (closed) => this.#giveUp(closed));
    if (this.state === "closed") {
      subscription.end(this.#error);
      return subscription;
    }
    this.#subscriptions.add(subscription);
    this.#session.want(names);
    this.#reconnector.synchronize();
    return subscription;
  }

  /**
   * The present values of an instrument; empty if there are none. It is the same, frozen, object until a value changes.
   * @param {string} symbol
   * @returns {Readonly<Fields>}
   */
  values(symbol) {
    return this.#session.replica.find(symbol)?.present() ?? NO_VALUES;
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
    if (this.#reconnector.ready) return foundInReply(await this.#request("instruments", { match, after }));
    const query = new URLSearchParams({ match, after });
    return foundInAnswer(await this.#reconnector.found(`/v1/instruments?${query}`));
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
    this.#reconnector.finish();
  }

  /**
   * @param {string} op
   * @param {RequestFields} fields
   * @returns {Promise<Map<string, unknown>>}
   */
  #request(op, fields) {
    if (!this.#reconnector.ready) return Promise.reject(new TickerError(`${op}: there is no WebSocket at the moment`));
    const request = this.#session.request(op, fields);
    const result = this.#requests.result(request.id);
    this.#reconnector.send(request);
    return result;
  }

  /** @param {Subscription} subscription */
  #giveUp(subscription) {
    if (!this.#subscriptions.delete(subscription)) return;
    this.#session.giveUp(subscription.names);
    this.#reconnector.synchronize();
  }

  /**
   * @param {State} state
   * @param {Omit<StateChange, "state">} more
   * @param {End | undefined} end
   */
  #became(state, more, end) {
    if (state === "connected") for (const subscription of this.#subscriptions) subscription.hold();
    if (state === "connected") this.#notices.connected();
    else if (state === "waiting" && end) this.#notices.lost(end.reason);
    else if (state === "closed") {
      if (end) this.#notices.ended(end.reason);
      this.#notices.close();
      this.#error = end && errorOf(end);
    }
    this.dispatchEvent(eventOf("state", { state, ...more }));
    if (state !== "closed") return;
    for (const subscription of this.#subscriptions) subscription.end(this.#error);
    this.#subscriptions.clear();
  }

  /**
   * @param {Message | null} message
   * @param {Received} received
   */
  #process(message, received) {
    if (message?.kind === "reply" || message?.kind === "error") this.#requests.settle(message);
    if (received.refused.length > 0) this.#refuse(received.refused);
    if (received.changes) this.#publish(received.changes);
    if (!received.answered) return;
    for (const subscription of this.#subscriptions) {
      if (subscription.held && this.#session.hasAllOf(subscription.names)) subscription.release();
    }
    this.#notices.answered();
  }

  /**
   * The server refused some names. Subscriptions for which it has no room end.
   * @param {Outcome[]} outcomes
   */
  #refuse(outcomes) {
    this.#notices.refused(outcomes);
    for (const each of outcomes) this.dispatchEvent(eventOf("refused", each));
    const beyond = outcomes.filter(({ code }) => code === Code.TOO_MANY_SYMBOLS);
    if (beyond.length === 0) return;
    const names = new Set(beyond.map(({ name }) => name));
    const error = tooMany(`${excerpt(beyond[0].name)} was refused: ${beyond[0].text}`);
    for (const subscription of this.#subscriptions) {
      if (!subscription.names.some((name) => names.has(name))) continue;
      this.#giveUp(subscription);
      subscription.end(error);
    }
  }

  /** Names that the server keeps, and that no instrument of the copy has. */
  #unmatched() {
    const symbols = this.#session.replica.symbols;
    return this.#session.kept.filter((name) => {
      if (!isPattern(name)) return !this.#session.replica.find(name);
      const matches = matcherOf([name]);
      return !symbols.some(matches);
    });
  }

  /** @param {Record<string, ChangedFields>} changes */
  #publish(changes) {
    const count = Object.keys(changes).length;
    if (count === 0) return;
    this.#updates += count;
    for (const subscription of this.#subscriptions) subscription.take(changes);
    this.dispatchEvent(eventOf("change", { change: changeOf(this.#session.replica, changes) }));
  }
}
