/**
 * A client's conversation over all its connections: requests to send, and the meaning of messages. No I/O, no clock.
 *
 * - A name goes from *wanted* to *requested* (on this connection) to *confirmed* (its reply came, so the copy is
 *   complete for it). Only confirmed names are resumed on the next connection.
 * - Nothing carries over to a new epoch: values of the old one that do not come again are reported as withdrawn.
 * - After an unsubscribe, new names are requested only once its reply came: records until then may be older than it.
 */

import { batches } from "./batches.js";
import { Code, malformed } from "./errors.js";
import { outcomesOf } from "./messages.js";
import { encode } from "./msgpack.js";
import { Replica } from "./replica.js";
import { isName, matcherOf } from "./symbols.js";
import { excerpt } from "./texts.js";
import { VanishedFields } from "./vanished.js";

/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./messages.js").Delta} Delta */
/** @typedef {import("./messages.js").ErrorMessage} ErrorMessage */
/** @typedef {import("./messages.js").Message} Message */
/** @typedef {import("./messages.js").Outcome} Outcome */
/** @typedef {import("./messages.js").Reply} Reply */
/** @typedef {import("./messages.js").Snapshot} Snapshot */
/** @typedef {import("./messages.js").Welcome} Welcome */

const REQUEST_OVERHEAD = 256; // bytes of a request besides its names, with room to spare
const MAX_MESSAGE_BYTES = 65_536;
const MAX_EPOCH = 256; // characters
const STREAM_REPLY = 1; // id of the one reply of an event stream

/**
 * The meaning of one message: changed fields by symbol, refused names, whether it answered for any names, and the text
 * of a refused token.
 * @typedef {{changes?: Record<string, ChangedFields>, refused: Outcome[], answered?: boolean, tokenRefused?: string}} Received
 */
/**
 * A request for an event stream: its names, the cursor to resume from, and all wanted names with those newly refused.
 * @typedef {{names: string[], lastEventId?: string, wanted: string[], refused: Outcome[]}} StreamRequest
 */
/**
 * Fields of a request besides `op` and `id` (PROTOCOL.md, section 3.2).
 * @typedef {{symbols?: string[], interval_ms?: number, epoch?: string, cursor?: number, token?: string, match?: string, after?: string}} RequestFields
 * @typedef {RequestFields & {op: string, id: number}} Request
 */

export class ClientSession {
  /** @param {number} [intervalMs] */
  constructor(intervalMs) {
    this.replica = new Replica((symbol) => this.#subscribed(symbol));
    this.#interval = intervalMs === undefined ? {} : { interval_ms: intervalMs };
  }

  /** @type {{interval_ms?: number}} */
  #interval;
  /** @type {(symbol: string) => boolean} */
  #subscribed = matcherOf([]);
  /**
   * Wanted names, each with the number of its subscriptions.
   * @type {Map<string, number>}
   */
  #wanted = new Map();
  /** @type {Set<string>} */
  #requested = new Set();
  /**
   * Names that the server refused.
   * @type {Set<string>}
   */
  #declined = new Set();
  /** @type {Set<string>} */
  #confirmed = new Set();
  /**
   * Names for which the server has answered on this connection, in whatever way.
   * @type {Set<string>}
   */
  #answered = new Set();
  /**
   * Names of requests that were refused whole on this connection.
   * @type {Set<string>}
   */
  #failed = new Set();
  #resumeFirst = false;
  /** @type {number | undefined} */
  #resumeId;
  /** @type {number | undefined} */
  #tokenId;
  /**
   * Names of the requests without a reply, by id.
   * @type {Map<number, Set<string>>}
   */
  #awaited = new Map();
  /**
   * Ids of unsubscribe requests without a reply.
   * @type {Set<number>}
   */
  #leaving = new Set();
  #lastId = 0;
  #maxMessageBytes = MAX_MESSAGE_BYTES;
  /** @type {Welcome | undefined} */
  #welcome;
  #vanished = new VanishedFields();

  /** Whether the copy holds every wanted instrument that the server has. */
  get settled() {
    return this.#awaited.size === 0 && this.current;
  }

  /** Whether the wanted names, and no others, were requested on this connection. */
  get current() {
    return this.#requested.size === this.#wanted.size && this.#names.every((name) => this.#requested.has(name));
  }

  /**
   * Limits of the latest connection, as its WELCOME told them.
   * @returns {Map<string, number>}
   */
  get limits() {
    return this.#welcome?.limits ?? new Map();
  }

  /** The wanted names. */
  get wanted() {
    return new Set(this.#wanted.keys());
  }

  /** Names that the server keeps, which may be without an instrument so far. */
  get kept() {
    return this.#names.filter(
      (name) => this.#answered.has(name) && !this.#declined.has(name) && !this.#failed.has(name),
    );
  }

  /**
   * Whether the server has answered for these names, so the copy has all that there is of them.
   * @param {readonly string[]} names
   */
  hasAllOf(names) {
    return names.every((name) => this.#answered.has(name));
  }

  /** Whether any name is wanted. */
  get wanting() {
    return this.#wanted.size > 0;
  }

  get #names() {
    return [...this.#wanted.keys()];
  }

  /**
   * Want names; a name that is wanted twice has to be given up twice.
   * @param {Iterable<string>} names
   */
  want(names) {
    for (const name of names) this.#wanted.set(name, (this.#wanted.get(name) ?? 0) + 1);
  }

  /** @param {Iterable<string>} names */
  giveUp(names) {
    for (const name of names) {
      const count = (this.#wanted.get(name) ?? 0) - 1;
      if (count > 0) this.#wanted.set(name, count);
      else this.#wanted.delete(name);
    }
  }

  /**
   * Begin a WebSocket.
   * @param {Welcome} welcome
   */
  begin(welcome) {
    this.#maxMessageBytes = welcome.limits.get("max_message_bytes") ?? MAX_MESSAGE_BYTES;
    this.#declined.clear();
    const names = [...this.#confirmed].filter((name) => this.#wanted.has(name));
    // A resume is one message: with more names than fit into it, the copy is taken anew.
    const size = encode({ op: "resume", id: 2 ** 53 - 1, ...this.#resume(names) }).length;
    this.#start(welcome, names, names.length > 0 && size <= this.#maxMessageBytes);
    this.#resumeFirst = this.replica.resuming;
    if (!this.#resumeFirst) this.#setRequested([]);
  }

  /**
   * Request for a new event stream. It resumes from the cursor unless a name is wanted that is not confirmed.
   * @returns {StreamRequest}
   */
  streamRequest() {
    const wanted = this.#names;
    const invalid = wanted.filter((name) => !isName(name));
    const unsaid = invalid.filter((name) => !this.#declined.has(name));
    for (const name of invalid) this.#declined.add(name);
    let names = wanted.filter((name) => this.#confirmed.has(name));
    const missing = wanted.filter((name) => !this.#confirmed.has(name) && !this.#declined.has(name));
    const resumed = names.length > 0 && missing.length === 0;
    if (!resumed) {
      this.#declined = new Set(invalid);
      names = wanted.filter(isName);
    }
    const lastEventId = resumed ? `${this.replica.epoch}:${this.replica.cursor}` : undefined;
    const text = "it is neither a symbol nor a pattern";
    return { names, lastEventId, wanted, refused: unsaid.map((name) => ({ name, code: Code.BAD_SYMBOL, text })) };
  }

  /**
   * Begin an event stream that was requested with `request`.
   * @param {Welcome} welcome
   * @param {StreamRequest} request
   */
  beginStream(welcome, { names, wanted, lastEventId }) {
    this.#start(welcome, lastEventId === undefined ? [] : names, lastEventId !== undefined);
    this.#resumeFirst = false;
    this.#setRequested(wanted);
    this.#lastId = STREAM_REPLY;
    this.#awaited.set(STREAM_REPLY, new Set(names));
    // Names that cannot be asked for have their answer.
    for (const name of wanted) if (!names.includes(name)) this.#answered.add(name);
    if (this.replica.resuming) this.#resumeId = STREAM_REPLY;
  }

  /**
   * @param {Welcome} welcome
   * @param {string[]} names
   * @param {boolean} resumable
   */
  #start(welcome, names, resumable) {
    if (welcome.epoch.length > MAX_EPOCH) throw malformed(`welcome: an epoch of more than ${MAX_EPOCH} characters`);
    this.#welcome = welcome;
    this.#awaited.clear();
    this.#answered.clear();
    this.#failed.clear();
    this.#leaving.clear();
    this.#resumeId = this.#tokenId = undefined;
    this.#confirmed = new Set(names);
    this.#setRequested(names);
    const before = this.replica.values();
    this.replica.dropUnwanted();
    if (!this.replica.welcome(welcome, resumable)) this.#confirmed.clear();
    this.#vanished.add(Object.entries(before).filter(([symbol]) => !this.replica.find(symbol)));
  }

  /** Requests that bring the server's subscriptions in line with the wanted names. */
  requests() {
    /** @type {Request[]} */
    const requests = [];
    if (this.#resumeFirst) {
      this.#resumeFirst = false;
      requests.push(this.request("resume", this.#resume([...this.#requested])));
      this.#resumeId = this.#lastId;
    }
    const dropped = [...this.#requested].filter((name) => !this.#wanted.has(name));
    let added = this.#names.filter((name) => !this.#requested.has(name));
    if (dropped.length > 0 || this.#leaving.size > 0) added = [];
    for (const name of added) this.#declined.delete(name), this.#answered.delete(name); // the new outcome counts
    this.#setRequested([...this.#requested].filter((name) => this.#wanted.has(name)).concat(added));
    for (const names of [this.#confirmed, this.#answered, this.#failed, ...this.#awaited.values()]) {
      for (const name of dropped) names.delete(name);
    }
    if (dropped.length > 0) this.replica.dropUnwanted();
    const room = this.#maxMessageBytes - REQUEST_OVERHEAD;
    for (const symbols of batches(dropped, room)) {
      requests.push(this.request("unsubscribe", { symbols }));
      this.#leaving.add(this.#lastId);
    }
    for (const symbols of batches(added, room)) {
      requests.push(this.request("subscribe", { symbols, ...this.#interval }));
    }
    return requests;
  }

  /**
   * A request with an id of its own.
   * @param {string} op
   * @param {RequestFields} fields
   * @returns {Request}
   */
  request(op, fields) {
    const id = ++this.#lastId;
    if (op === "auth") this.#tokenId = id;
    if (fields.symbols) this.#awaited.set(id, new Set(op === "unsubscribe" ? [] : fields.symbols));
    return { op, id, ...fields };
  }

  /**
   * Receive one message, null for an unknown one. Raises TickerError if it breaks the protocol: the connection is then
   * of no use, the copy is as it was, and a new connection can resume it.
   * @param {Message | null} message
   * @returns {Received}
   */
  receive(message) {
    /** @type {Received} */
    const received = { refused: [] };
    switch (message?.kind) {
      case "instruments": this.replica.define(message.definitions); break;
      case "snapshot": case "delta": received.changes = this.#apply(message); break;
      case "heartbeat": this.replica.beat(message); break;
      case "reply": this.#settle(message, received); break;
      case "error": this.#fail(message, received); break;
    }
    return received;
  }

  /** @param {Delta | Snapshot} message */
  #apply(message) {
    /** @type {Record<string, ChangedFields>} */
    const changes = Object.create(null);
    for (const [state, fields] of this.replica.apply(message)) {
      const { symbol } = state.definition;
      changes[symbol] = this.#vanished.complete(symbol, state.fields(fields));
    }
    return changes;
  }

  /**
   * A request was answered: the copy is complete for its names.
   * @param {Reply} reply
   * @param {Received} received
   */
  #settle(reply, received) {
    const outcomes = outcomesOf(reply);
    const { id } = reply;
    const names = this.#awaited.get(id) ?? new Set();
    this.#awaited.delete(id);
    this.#leaving.delete(id);
    if (id === this.#resumeId) {
      this.#resumeId = undefined;
      this.replica.resuming = false;
    }
    // Names that the user gave up meanwhile, or never asked for, are not worth a word, nor any memory.
    received.refused = outcomes.filter(({ name, code }) => code !== Code.OK && names.has(name));
    // A symbol that the server does not know yet stays subscribed: it joins when it appears.
    const declined = received.refused.filter(({ code }) => code !== Code.UNKNOWN_SYMBOL);
    for (const name of names) this.#answered.add(name), this.#confirmed.add(name);
    for (const { name } of declined) this.#declined.add(name), this.#confirmed.delete(name);
    received.answered = true;
    if (declined.length > 0) {
      this.#setRequested([...this.#requested]);
      this.#vanished.add(this.replica.dropUnwanted());
    }
    this.#withdrawVanished(received);
  }

  /**
   * Report the fields that are gone for good: no name without an answer can bring their instrument again.
   * @param {Received} received
   */
  #withdrawVanished(received) {
    if (this.#vanished.size === 0) return;
    const gone = this.#vanished.takeWithdrawals(matcherOf(this.#names.filter((name) => !this.#answered.has(name))));
    if (gone) received.changes = gone;
  }

  /**
   * A request was refused whole. After a refused resume the copy is of no use, and all names are requested anew.
   * @param {ErrorMessage} message
   * @param {Received} received
   */
  #fail({ id, code, text }, received) {
    if (id === null) return;
    const names = this.#awaited.get(id) ?? new Set();
    this.#awaited.delete(id);
    this.#leaving.delete(id);
    if (id === this.#tokenId) received.tokenRefused = text;
    if (id === this.#resumeId && this.#welcome) {
      this.#resumeId = undefined;
      this.#vanished.add(Object.entries(this.replica.values()));
      this.replica.welcome(this.#welcome, false);
      this.#confirmed.clear();
      this.#answered.clear();
      this.#setRequested([...this.#requested].filter((name) => !names.has(name)));
      return;
    }
    received.refused = [...names].map((name) => ({ name, code, text: excerpt(text) }));
    for (const name of names) this.#failed.add(name), this.#answered.add(name);
    received.answered = true;
    this.#withdrawVanished(received);
  }

  /** @param {string[]} symbols */
  #resume(symbols) {
    return { epoch: this.replica.epoch, cursor: this.replica.cursor, symbols, ...this.#interval };
  }

  /** @param {string[]} names */
  #setRequested(names) {
    this.#requested = new Set(names);
    this.#subscribed = matcherOf(names.filter((name) => !this.#declined.has(name)));
  }
}
