/**
 * A client's conversation over all its connections: requests to send, and the meaning of messages. No I/O, no clock.
 *
 * - Names and their state: `names.js`. Only confirmed names are resumed; what is doubtful, the server has to remove.
 * - Nothing carries over to a new epoch: values of the old one that do not come again are reported as withdrawn.
 * - After a message that this client refuses, the copy is resumed once. After a second one without a reply in between, it
 *   is taken anew.
 */

import { admissionOf, checkEpoch } from "./admission.js";
import { batches } from "./batches.js";
import { Code } from "./errors.js";
import { featuresOf } from "./features.js";
import { outcomesOf, plain } from "./messages.js";
import { encode, utf8Length } from "./msgpack.js";
import { Names, ofInstruments, refusalOf } from "./names.js";
import { Replica } from "./replica.js";
import { isName, matcherOf } from "./symbols.js";
import { excerpt } from "./texts.js";
import { VanishedFields, withdrawn } from "./vanished.js";
import { verdictOf } from "./verdict.js";

/** @typedef {import("./features.js").Features} Features */
/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./messages.js").Delta} Delta */
/** @typedef {import("./messages.js").ErrorMessage} ErrorMessage */
/** @typedef {import("./messages.js").Heartbeat} Heartbeat */
/** @typedef {import("./messages.js").Message} Message */
/** @typedef {import("./messages.js").Outcome} Outcome */
/** @typedef {import("./messages.js").Removed} Removed */
/** @typedef {import("./messages.js").Reply} Reply */
/** @typedef {import("./messages.js").Snapshot} Snapshot */
/** @typedef {import("./messages.js").Welcome} Welcome */
/** @typedef {import("./record.js").RecordState} RecordState */
/** @typedef {import("./requests.js").Request} Request */
/** @typedef {import("./requests.js").RequestFields} RequestFields */
/** @typedef {import("./verdict.js").Verdict} Verdict */
/** @typedef {import("./wanted.js").FieldSet} FieldSet */

const REQUEST_OVERHEAD = 256; // bytes of a request besides its names, with room to spare
const MAX_MESSAGE_BYTES = 65_536;
const MAX_REFUSALS = 2; // of messages without a reply in between, until the copy is taken anew
const ONE_FOR_ALL = -1; // set of fields, as an event stream has
const MAX_FIELDS = 64; // of a set
const STREAM_REPLY = 1; // id of the one reply of an event stream

/**
 * The meaning of one message: changed fields by symbol, names of changed tables, refused names, whether it answered for any
 * names, the text of a refused token, the result of a verification, whether it says something new of the source, and
 * whether the server is behind the copy, which is kept for another one.
 * @typedef {{
 *   changes?: Record<string, ChangedFields>, tables: string[], refused: Outcome[], answered?: boolean,
 *   tokenRefused?: string, verdict?: Verdict, source?: boolean, behind?: boolean,
 * }} Received
 */
/**
 * A request for an event stream: its names and fields, the cursor to resume from, and all wanted names with those newly
 * refused.
 * @typedef {{names: string[], fields?: string, lastEventId?: string, wanted: string[], refused: Outcome[]}} StreamRequest
 */
/** @param {Iterable<RecordState>} states @returns {[string, Readonly<Fields>][]} */
const instrumentsOf = (states) =>
  [...states].filter(({ rows }) => !rows).map((each) => [each.definition.symbol, each.present()]);

export class ClientSession {
  replica = new Replica();
  /**
   * What the service offers, as the latest WELCOME said; undefined before the first one.
   * @type {Features | undefined}
   */
  features = undefined;
  /**
   * Limits of the latest connection, as its WELCOME, or the reply to a fresh token, told them.
   * @type {Map<string, number>}
   */
  limits = new Map();
  /** Number of servers among which the client can choose. */
  servers = 1;
  /**
   * Time since when the server hears nothing from the source of its data, in microseconds since 1970 UTC.
   * @type {number | null}
   */
  sourceSilentSince = null;
  /** @type {{interval_ms?: number}} */
  #interval;
  #names = new Names();
  #resumeFirst = false;
  /** @type {string[]} */
  #forgotten = [];
  /** @type {number | undefined} */
  #resumeId;
  /** @type {number | undefined} */
  #tokenId;
  /**
   * Ids of requests for a checksum.
   * @type {Set<number>}
   */
  #verifying = new Set();
  #lastId = 0;
  /** Messages that were refused since the last reply. */
  #refusals = 0;
  /** @type {Welcome | undefined} */
  #welcome;
  /** The latest of this connection: a copy that is taken anew begins at its cut. @type {Heartbeat | undefined} */
  #heartbeat;
  /** Servers that were behind the copy since the last reply. */
  #behind = 0;
  #vanished = new VanishedFields();

  /** @param {number} [intervalMs] */
  constructor(intervalMs) {
    this.#interval = intervalMs === undefined ? {} : { interval_ms: intervalMs };
  }

  /** Whether the wanted names, and no others, were requested on this connection. */
  get current() {
    return this.#names.current;
  }

  /** The wanted names. */
  get wanted() {
    return new Set(this.#names.wanted);
  }

  /** Names that the server keeps, which may be without an instrument so far. */
  get kept() {
    return this.#names.kept;
  }

  /** Whether any name is wanted. */
  get wanting() {
    return this.#names.wanting;
  }

  /**
   * Whether the server has answered for these names, so the copy has these fields of them.
   * @param {readonly string[]} names
   * @param {FieldSet} [fields]
   */
  hasAllOf(names, fields) {
    return this.#names.hasAnswersFor(names, fields);
  }

  /**
   * Want names, or some fields of what they match; a name that is wanted twice has to be given up twice.
   * @param {Iterable<string>} names
   * @param {FieldSet} [fields]
   */
  want(names, fields) {
    this.#names.want(names, fields);
  }

  /**
   * @param {Iterable<string>} names
   * @param {FieldSet} [fields]
   */
  giveUp(names, fields) {
    this.#names.giveUp(names, fields);
  }

  /**
   * Begin a WebSocket.
   * @param {Welcome} welcome
   */
  begin(welcome) {
    this.#names.clearDeclined();
    const names = this.#names.resumable;
    const forgotten = this.#names.forgotten;
    // A resume is one message: with more names than fit into it, the copy is taken anew.
    const request = this.#resume(names, forgotten);
    const size = encode({ op: "resume", id: 2 ** 53 - 1, ...request }).length;
    const { fields } = featuresOf(welcome.features);
    const fits = size <= this.#maxMessageBytes(welcome) && (fields > 0 || !request.selected);
    // While some names have their new fields, the others still have the former: half as many sets as the server takes.
    this.#start(welcome, names, forgotten, names.length > 0 && fits, fields >> 1);
    this.#resumeFirst = this.replica.resuming;
  }

  /**
   * Request for a new event stream. It resumes from the cursor if its names are those of which the copy is made.
   * @returns {StreamRequest}
   */
  streamRequest() {
    const wanted = this.#names.wanted;
    const { declined } = this.#names;
    const invalid = wanted.filter((name) => !isName(name));
    const unsaid = invalid.filter((name) => !declined.has(name));
    this.#names.decline(invalid);
    let names = this.#names.resumable;
    const fields = this.features?.fields === 0 ? undefined : this.#names.together;
    const resumable = new Set(names.filter((name) => this.#names.fieldsOf(name) === ofInstruments(name, fields)));
    const missing = wanted.filter((name) => !resumable.has(name) && !declined.has(name));
    const resumed = names.length > 0 && missing.length === 0 && this.#names.forgotten.length === 0 && !this.#isRefused;
    if (!resumed) {
      this.#names.clearDeclined();
      this.#names.decline(invalid);
      names = wanted.filter(isName);
    }
    const lastEventId = resumed ? `${this.replica.epoch}:${this.replica.cursor}` : undefined;
    return { names, ...(fields !== undefined && { fields }), lastEventId, wanted, refused: unsaid.map(refusalOf) };
  }

  /**
   * Begin an event stream that was requested with `request`.
   * @param {Welcome} welcome
   * @param {StreamRequest} request
   */
  beginStream(welcome, { names, fields, wanted, lastEventId }) {
    const sets = featuresOf(welcome.features).fields > 0 ? ONE_FOR_ALL : 0;
    this.#start(welcome, lastEventId === undefined ? [] : names, [], lastEventId !== undefined, sets);
    this.#resumeFirst = false;
    // Names that cannot be asked for have their answer.
    this.#names.beginStream(wanted, wanted.filter((name) => !names.includes(name)), fields);
    this.#lastId = STREAM_REPLY;
    this.#names.expect(STREAM_REPLY, names, true);
    if (this.replica.resuming) this.#resumeId = STREAM_REPLY;
  }

  /**
   * @param {Welcome} welcome
   * @param {string[]} names
   * @param {string[]} forgotten
   * @param {boolean} resumable
   * @param {number} sets
   */
  #start(welcome, names, forgotten, resumable, sets) {
    checkEpoch(welcome.epoch);
    const features = featuresOf(welcome.features);
    this.#welcome = welcome;
    this.features = features;
    this.limits = welcome.limits;
    this.#verifying.clear();
    this.#resumeId = this.#tokenId = this.#heartbeat = undefined;
    this.sourceSilentSince = null;
    const before = this.replica.records;
    if (this.replica.welcome(welcome, resumable && !this.#isRefused)) {
      this.#names.begin(names, forgotten, sets);
      this.#forgotten = forgotten;
    } else {
      this.#names.begin([], [], sets);
      this.#vanished.add(instrumentsOf(before));
    }
  }

  /** Requests that bring the server's subscriptions in line with the wanted names. */
  requests() {
    /** @type {Request[]} */
    const requests = [];
    if (this.#resumeFirst) {
      this.#resumeFirst = false;
      requests.push(this.request("resume", this.#resume(this.#names.requested, this.#forgotten)));
      this.#resumeId = this.#lastId;
    }
    const { dropped, added } = this.#names.change();
    const room = this.#maxMessageBytes(this.#welcome) - REQUEST_OVERHEAD;
    for (const symbols of batches(dropped, room)) requests.push(this.request("unsubscribe", { symbols }));
    for (const [fields, names] of this.#byFields(added)) {
      for (const symbols of batches(names, room - (fields ? utf8Length(fields) + 5 * MAX_FIELDS : 0))) {
        requests.push(this.request("subscribe", { symbols, ...(fields && { fields: fields.split(",") }), ...this.#interval }));
      }
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
    if (op === "digest") this.#verifying.add(id);
    const names = [...(fields.symbols ?? []), ...(fields.selected ?? []).flatMap(([, some]) => some)];
    if (fields.symbols) this.#names.expect(id, names, op !== "unsubscribe");
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
    const received = { refused: [], tables: [] };
    switch (message?.kind) {
      case "instruments": this.replica.define(message.definitions); break;
      case "snapshot": case "delta": this.#apply(message, received); break;
      case "removed": this.#remove(message, received); break;
      case "heartbeat": this.replica.beat((this.#heartbeat = message)); break;
      case "source":
        received.source = message.since !== this.sourceSilentSince;
        this.sourceSilentSince = message.since;
        break;
      case "reply": this.#settle(message, received); break;
      case "error": this.#fail(message, received); break;
    }
    return received;
  }

  /** This client has refused a message of the connection. */
  refuseMessage() {
    this.#refusals++;
  }

  /** The copy is of no use: the next connection takes it anew. */
  discard() {
    this.#refusals = MAX_REFUSALS;
  }

  get #isRefused() {
    return this.#refusals >= MAX_REFUSALS;
  }

  /**
   * @param {Delta | Snapshot} message
   * @param {Received} received
   */
  #apply(message, received) {
    /** @type {Record<string, ChangedFields>} */
    const changes = Object.create(null);
    const isComplete = this.#vanished.size === 0;
    for (const [state, fields] of this.replica.apply(message)) {
      const { symbol } = state.definition;
      if (state.rows) received.tables.push(symbol);
      else changes[symbol] = isComplete ? state.fields(fields) : this.#vanished.complete(symbol, state.fields(fields));
    }
    received.changes = changes;
  }

  /**
   * @param {Removed} message
   * @param {Received} received
   */
  #remove(message, received) {
    const removed = this.replica.remove(message);
    received.tables = removed.filter(({ rows }) => rows).map(({ definition }) => definition.symbol);
    received.changes = plain(instrumentsOf(removed).map(([symbol, fields]) => [symbol, withdrawn(fields)]));
  }

  /**
   * A request was answered.
   * @param {Reply} reply
   * @param {Received} received
   */
  #settle(reply, received) {
    const outcomes = outcomesOf(reply);
    const { id, result } = reply;
    if (id === this.#tokenId) {
      const { epoch, limits } = admissionOf(result, this.replica.epoch, this.limits);
      this.replica.epoch = epoch;
      this.limits = limits;
    }
    if (this.#verifying.delete(id)) received.verdict = verdictOf(result, this.replica);
    this.#refusals = this.#behind = 0;
    if (id === this.#resumeId) {
      this.#resumeId = undefined;
      received.tables = this.replica.resumed().map(({ definition }) => definition.symbol);
      this.#names.resumed();
    }
    received.refused = this.#names.answer(id, outcomes);
    received.answered = true;
    this.#withdrawVanished(received);
  }

  /**
   * Report the fields that are gone for good: no name without an answer can bring their instrument again.
   * @param {Received} received
   */
  #withdrawVanished(received) {
    if (this.#vanished.size === 0) return;
    const gone = this.#vanished.takeWithdrawals(matcherOf(this.#names.unanswered));
    if (gone) received.changes = gone;
  }

  /**
   * A request was refused whole. After a refused resume the copy is of no use, and all names are requested anew.
   * @param {ErrorMessage} message
   * @param {Received} received
   */
  #fail({ id, code, text }, received) {
    if (id === null) return;
    this.#verifying.delete(id);
    if (id === this.#tokenId) received.tokenRefused = text;
    if (id === this.#resumeId && this.#welcome) {
      this.#resumeId = undefined;
      received.behind = code === Code.WRONG_EPOCH && ++this.#behind < this.servers;
      if (received.behind) return;
      this.#behind = 0;
      this.#vanished.add(instrumentsOf(this.replica.records));
      this.replica.welcome(this.#welcome, false);
      if (this.#heartbeat) this.replica.beat(this.#heartbeat);
      this.#names.failResume(id);
      return;
    }
    received.refused = this.#names.fail(id).map((name) => ({ name, code, text: excerpt(text) }));
    received.answered = true;
    this.#withdrawVanished(received);
  }

  /** @param {Welcome | undefined} welcome */
  #maxMessageBytes(welcome) {
    return welcome?.limits.get("max_message_bytes") ?? MAX_MESSAGE_BYTES;
  }

  /**
   * @param {string[]} names
   * @param {string[]} forget
   */
  #resume(names, forget) {
    const { epoch, cursor } = this.replica;
    /** @type {[string[], string[]][]} */
    const selected = [];
    /** @type {string[]} */
    let symbols = [];
    for (const [fields, some] of this.#byFields(names)) {
      if (fields === undefined) symbols = some;
      else selected.push([fields.split(","), some]);
    }
    const more = { ...(forget.length > 0 && { forget }), ...(selected.length > 0 && { selected }) };
    return { epoch, cursor, symbols, ...more, ...this.#interval };
  }

  /**
   * Names by the fields that are asked for of them.
   * @param {string[]} names
   */
  #byFields(names) {
    /** @type {Map<FieldSet, string[]>} */
    const found = new Map();
    for (const name of names) {
      const fields = this.#names.fieldsOf(name);
      const some = found.get(fields);
      if (some) some.push(name);
      else found.set(fields, [name]);
    }
    return found;
  }
}
