/**
 * A client's copy of the market: messages in, values out.
 *
 * The copy equals the server's at the cursor. A message is applied whole, or refused and the copy stays as it was. The
 * server alone says which records belong to the copy: complete ones enter it, and REMOVED takes them out.
 *
 * Ids of instruments hold for the epoch, and those of tables, which are negative, for a connection: a copy that is resumed
 * keeps its tables by name, until INSTRUMENTS gives them their new ids.
 */

import { recordChecksum, total } from "./digest.js";
import { malformed } from "./errors.js";
import { plain } from "./messages.js";
import { RecordState, checkedFields } from "./record.js";
import { tableOf } from "./tables.js";
import { excerpt } from "./texts.js";

/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./messages.js").Definition} Definition */
/** @typedef {import("./messages.js").Delta} Delta */
/** @typedef {import("./messages.js").Heartbeat} Heartbeat */
/** @typedef {import("./messages.js").Removed} Removed */
/** @typedef {import("./messages.js").Snapshot} Snapshot */
/** @typedef {import("./messages.js").Welcome} Welcome */
/** @typedef {import("./messages.js").WireFields} WireFields */
/** @typedef {import("./record.js").CheckedFields} CheckedFields */
/** @typedef {import("./tables.js").TableName} TableName */

// Limits on the data that a server can make a client keep; far above the amounts that a service sends.
const MAX_DEFINITIONS = 500_000;
const MAX_DEFINED_TEXT = 2 ** 27; // characters
const MAX_ROWS = 4_000_000; // for which all tables together have room

/** @param {Definition} definition */
function textSize({ symbol, metadata }) {
  let size = symbol.length;
  for (const key in metadata) size += key.length + metadata[key].length;
  return size;
}

/** The copy of the market. */
export class Replica {
  epoch = "";
  /** The cut through which the copy is complete. */
  cursor = 0;
  /** Time of that cut in microseconds since 1970 UTC, by the server's clock. */
  time = 0;
  /** Number of the server's life, as far as the client can tell: numbers of prints begin anew with each. */
  run = 0;
  /** RESUME has no reply yet, so the server's own cut does not hold for this copy. */
  resuming = false;
  /** @type {Map<number, Definition>} */
  definitions = new Map();
  /** Characters of all definitions. */
  definedText = 0;
  /** @type {Map<string, number>} */
  ids = new Map();
  /**
   * The records by id; without tables that have none on this connection so far.
   * @type {Map<number, RecordState>}
   */
  states = new Map();
  /**
   * Those tables: what has no id when the first data of a resume come is not there any more.
   * @type {Set<RecordState>}
   */
  #unnumbered = new Set();
  /** @type {Map<string, RecordState>} */
  #bySymbol = new Map();
  /**
   * The definitions that are tables.
   * @type {Map<number, TableName>}
   */
  #tables = new Map();
  /** Rows for which the tables of the copy have room. */
  #room = 0;

  /**
   * The definition of an instrument or table, if it is known.
   * @param {string} symbol
   */
  definition(symbol) {
    return this.definitions.get(this.ids.get(symbol) ?? NaN) ?? this.#bySymbol.get(symbol)?.definition;
  }

  /**
   * The record of an instrument or table, if the copy has it.
   * @param {string} symbol
   */
  find(symbol) {
    return this.#bySymbol.get(symbol);
  }

  /** All records. */
  get records() {
    return [...this.#bySymbol.values()];
  }

  /** The symbols of the instruments, and the names of the tables, in the copy. */
  get symbols() {
    return [...this.#bySymbol.keys()];
  }

  /** The present values of all records whose names match, by name. */
  values(matches = (/** @type {string} */ _) => true) {
    const states = this.records.filter((each) => matches(each.definition.symbol));
    return plain(states.map((each) => /** @type {[string, Fields]} */ ([each.definition.symbol, each.present()])));
  }

  /** The checksum of the copy (PROTOCOL.md, section 5); tables without an id do not count. */
  digest() {
    return total([...this.states.values()].map((each) => recordChecksum(each.definition, each.wire())));
  }

  /**
   * Begin a connection. Returns true if it can resume this copy; otherwise the copy is emptied.
   * @param {Welcome} welcome
   * @param {boolean} resumable
   */
  welcome(welcome, resumable) {
    this.resuming = resumable && welcome.epoch === this.epoch;
    if (this.resuming) this.#forgetTables();
    else {
      if (welcome.epoch !== this.epoch) this.run++;
      this.epoch = welcome.epoch;
      this.cursor = welcome.cut;
      this.time = welcome.time;
      this.definedText = this.#room = 0;
      for (const map of [this.definitions, this.ids, this.states, this.#bySymbol, this.#tables]) map.clear();
      this.#unnumbered.clear();
    }
    return this.resuming;
  }

  /** Forget the ids of tables: they are those of another connection. */
  #forgetTables() {
    for (const id of [...this.#tables.keys()]) {
      const definition = /** @type {Definition} */ (this.definitions.get(id));
      this.definedText -= textSize(definition);
      this.ids.delete(definition.symbol);
      const state = this.states.get(id);
      if (state) this.#unnumbered.add(state);
      for (const map of [this.definitions, this.states, this.#tables]) map.delete(id);
    }
  }

  /** The copy is up to date with the server. Returns the tables that the server does not have: they left the copy. */
  resumed() {
    this.resuming = false;
    return this.#dropUnnumbered();
  }

  #dropUnnumbered() {
    const gone = [...this.#unnumbered];
    this.#unnumbered.clear();
    for (const state of gone) this.#forget(state);
    return gone;
  }

  /**
   * Add definitions, all or none.
   * @param {Definition[]} definitions
   */
  define(definitions) {
    /** @type {Map<number, Definition>} */
    const added = new Map();
    /** @type {Map<string, number>} */
    const symbols = new Map();
    let text = this.definedText;
    let count = this.definitions.size;
    for (const each of definitions) {
      const known = added.get(each.id) ?? this.definitions.get(each.id);
      const before = known ?? this.#bySymbol.get(each.symbol)?.definition;
      const lowered = before && (before.priceScale > each.priceScale || before.sizeScale > each.sizeScale);
      if (lowered || (before && before.symbol !== each.symbol)) {
        throw malformed(`instrument ${each.id}: a scale was lowered or the symbol changed`);
      }
      if ((symbols.get(each.symbol) ?? this.ids.get(each.symbol) ?? each.id) !== each.id) {
        throw malformed(`instrument ${each.id}: another one has its symbol`);
      }
      if (each.id < 0 !== Boolean(tableOf(each.symbol))) {
        throw malformed(`${excerpt(each.symbol)}: the id ${each.id}; those of tables are negative, and no others`);
      }
      text += textSize(each) - (known ? textSize(known) : 0);
      if (!known) count++;
      added.set(each.id, each);
      symbols.set(each.symbol, each.id);
    }
    if (count > MAX_DEFINITIONS) throw malformed(`more than ${MAX_DEFINITIONS} instruments were defined`);
    if (text > MAX_DEFINED_TEXT) throw malformed(`the definitions have more than ${MAX_DEFINED_TEXT} characters`);
    this.definedText = text;
    for (const [id, each] of added) {
      const table = tableOf(each.symbol);
      if (table) this.#tables.set(id, table);
      this.definitions.set(id, each);
      this.ids.set(each.symbol, id);
      const state = this.#bySymbol.get(each.symbol);
      if (!state) continue;
      state.redefine(each);
      this.states.set(id, state);
      this.#unnumbered.delete(state);
    }
  }

  /**
   * Apply a DELTA or SNAPSHOT whole. Returns the records that it touched, each with the changed fields that have no rows,
   * null for withdrawn ones. Raises TickerError for a message that does not follow the cursor or is invalid; the copy is
   * then as it was.
   * @param {Delta | Snapshot} message
   * @returns {Map<RecordState, WireFields>}
   */
  apply(message) {
    this.#checkStep(message);
    const changes = this.#checked(message.changes);
    for (const [id, fields] of changes) this.states.get(id)?.check(fields, false);
    const records = this.#checked(message.kind === "snapshot" ? message.records : []);
    const added = this.#made(records);
    /** @type {Map<RecordState, WireFields>} */
    const changed = new Map();
    for (const [id, fields] of changes) {
      const state = this.states.get(id);
      if (state) changed.set(state, state.merge(fields));
    }
    for (const [id, state] of added) {
      this.states.set(id, state);
      this.#bySymbol.set(state.definition.symbol, state);
    }
    for (const [id, fields] of records) {
      const state = /** @type {RecordState} */ (this.states.get(id));
      changed.set(state, new Map([...(changed.get(state) ?? []), ...state.replace(fields)]));
    }
    if (this.#unnumbered.size > 0) for (const state of this.#dropUnnumbered()) changed.set(state, new Map());
    this.cursor = message.cut;
    this.time = message.time;
    return changed;
  }

  /**
   * Take records out of the copy. Returns those that it held. Raises TickerError as `apply` does.
   * @param {Removed} message
   */
  remove(message) {
    this.#checkStep(message);
    /** @type {RecordState[]} */
    const removed = [];
    for (const id of message.ids) {
      const state = this.states.get(id);
      if (!state) continue;
      this.states.delete(id);
      this.#forget(state);
      removed.push(state);
    }
    removed.push(...this.#dropUnnumbered());
    this.cursor = message.cut;
    return removed;
  }

  /** @param {RecordState} state */
  #forget(state) {
    this.#bySymbol.delete(state.definition.symbol);
    this.#room -= state.rows?.room ?? 0;
  }

  /**
   * Advance the cursor: nothing changed through this cut.
   * @param {Heartbeat} heartbeat
   */
  beat(heartbeat) {
    if (this.resuming || heartbeat.cut < this.cursor) return;
    this.cursor = heartbeat.cut;
    this.time = heartbeat.time;
  }

  /** @param {{since: number, cut: number}} message */
  #checkStep({ since, cut }) {
    if (since > this.cursor) throw malformed(`changes since cut ${since} cannot follow cut ${this.cursor}`);
    if (cut < this.cursor) throw malformed(`cut ${cut} after cut ${this.cursor}`);
  }

  /**
   * Check complete records. Returns the states, still empty, of those that the copy has not.
   * @param {Map<number, CheckedFields>} records
   */
  #made(records) {
    /** @type {Map<number, RecordState>} */
    const added = new Map();
    let room = this.#room;
    for (const [id, fields] of records) {
      let state = this.states.get(id);
      if (!state) {
        state = new RecordState(/** @type {Definition} */ (this.definitions.get(id)), this.#tables.get(id));
        room += state.rows?.room ?? 0;
        added.set(id, state);
      }
      state.check(fields, true);
    }
    if (room > MAX_ROWS) throw malformed(`the tables have room for more than ${MAX_ROWS} rows`);
    this.#room = room;
    return added;
  }

  /**
   * Valid entries by id, without fields of a later version.
   * @param {unknown[]} entries
   */
  #checked(entries) {
    if (entries.length % 2) throw malformed("entries come in pairs of id and fields");
    /** @type {Map<number, CheckedFields>} */
    const checked = new Map();
    for (let index = 0; index < entries.length; index += 2) {
      const id = /** @type {number} */ (entries[index]); // what is no number is no key of the definitions
      const fields = entries[index + 1];
      const definition = this.definitions.get(id);
      if (!definition) throw malformed(`an entry of instrument ${id}, which was not defined`);
      if (!(fields instanceof Map) || checked.has(id)) throw malformed(`instrument ${id}: not one map of fields`);
      checked.set(id, checkedFields(definition, this.#tables.get(id), fields));
    }
    return checked;
  }
}
