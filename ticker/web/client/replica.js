/**
 * A client's copy of the market: messages in, values out.
 *
 * The copy equals the server's at the cursor. A message is applied whole, or refused and the copy stays as it was.
 * Unsubscribed symbols are ignored.
 */

import { malformed } from "./errors.js";
import { PRICE, SIZE, decimalText, isKnown, isValid, kindOf, nameOf } from "./fields.js";
import { plain } from "./messages.js";

/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./fields.js").Value} Value */
/** @typedef {import("./messages.js").Definition} Definition */
/** @typedef {import("./messages.js").Delta} Delta */
/** @typedef {import("./messages.js").FieldKey} FieldKey */
/** @typedef {import("./messages.js").Heartbeat} Heartbeat */
/** @typedef {import("./messages.js").Snapshot} Snapshot */
/** @typedef {import("./messages.js").Welcome} Welcome */
/** @typedef {import("./messages.js").WireFields} WireFields */

// Limits on the data that a server can make a client keep; far above the amounts that a service sends.
const MAX_DEFINITIONS = 500_000;
const MAX_DEFINED_TEXT = 2 ** 27; // characters
const MAX_FIELDS = 66; // of one instrument, with status and reason

/** @param {Definition} definition */
function textSize({ symbol, metadata }) {
  let size = symbol.length;
  for (const key in metadata) size += key.length + metadata[key].length;
  return size;
}

/**
 * Check the number of fields that an instrument has after a change.
 * @param {number} id
 * @param {WireFields | undefined} held
 * @param {WireFields} fields
 */
function checkCount(id, held, fields) {
  if ((held?.size ?? 0) + fields.size <= MAX_FIELDS) return;
  const keys = new Set(held?.keys());
  for (const [key, value] of fields) value === null ? keys.delete(key) : keys.add(key);
  if (keys.size > MAX_FIELDS) throw malformed(`instrument ${id}: more than ${MAX_FIELDS} fields`);
}

/** One instrument of the copy: its definition and its present values, still scaled. */
export class InstrumentState {
  /** @param {Definition} definition */
  constructor(definition) {
    this.definition = definition;
    /** @type {WireFields} */
    this.values = new Map();
    /**
     * The present values by name, until one changes.
     * @type {Readonly<Fields> | undefined}
     */
    this.shown = undefined;
  }

  /**
   * Replace the definition, and move the numbers to its scales.
   * @param {Definition} definition
   */
  redefine(definition) {
    const before = { [PRICE]: this.definition.priceScale, [SIZE]: this.definition.sizeScale };
    const places = {
      [PRICE]: definition.priceScale - before[PRICE],
      [SIZE]: definition.sizeScale - before[SIZE],
    };
    this.definition = definition;
    this.shown = undefined;
    if (!places[PRICE] && !places[SIZE]) return;
    for (const [key, value] of this.values) {
      const more = places[kindOf(key)] ?? 0;
      if (!more || typeof value !== "number") continue;
      const scaled = value * 10 ** more;
      // A number that does not fit is its text, as on the wire; a text has no scale.
      const text = () => decimalText(value, before[kindOf(key)]).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
      this.values.set(key, Number.isSafeInteger(scaled) ? scaled : text());
    }
  }

  /** @param {WireFields} fields */
  merge(fields) {
    if (fields.size > 0) this.shown = undefined;
    for (const [key, value] of fields) {
      if (value === null) this.values.delete(key);
      else this.values.set(key, value);
    }
  }

  /**
   * All present fields as withdrawn.
   * @returns {[FieldKey, null][]}
   */
  withdrawn() {
    return [...this.values.keys()].map((key) => [key, null]);
  }

  /**
   * Values of this instrument by field name.
   * @param {WireFields} values
   * @returns {ChangedFields}
   */
  fields(values) {
    const { priceScale, sizeScale } = this.definition;
    const fields = Object.create(null);
    for (const [key, value] of values) {
      const kind = kindOf(key);
      const scaled = (kind === PRICE || kind === SIZE) && typeof value === "number";
      fields[nameOf(key)] = scaled ? decimalText(value, kind === PRICE ? priceScale : sizeScale)
        : Array.isArray(value) ? value[0] : value;
    }
    return fields;
  }

  /**
   * The present values by field name: the same object until one changes.
   * @returns {Readonly<Fields>}
   */
  present() {
    return (this.shown ??= Object.freeze(/** @type {Fields} */ (this.fields(this.values))));
  }
}

/** The copy of the market. */
export class Replica {
  /** @param {(symbol: string) => boolean} wants whether a symbol is subscribed at the moment */
  constructor(wants) {
    this.wants = wants;
    this.epoch = "";
    /** The cut through which the copy is complete. */
    this.cursor = 0;
    /** Time of that cut in microseconds since 1970 UTC, by the server's clock. */
    this.time = 0;
    /** RESUME has no reply yet, so the server's own cut does not hold for this copy. */
    this.resuming = false;
    /** @type {Map<number, Definition>} */
    this.definitions = new Map();
    /** Characters of all definitions. */
    this.definedText = 0;
    /** @type {Map<string, number>} */
    this.ids = new Map();
    /** @type {Map<number, InstrumentState>} */
    this.states = new Map();
  }

  /**
   * The definition of an instrument, if it is known.
   * @param {string} symbol
   */
  definition(symbol) {
    return this.definitions.get(this.ids.get(symbol) ?? -1);
  }

  /**
   * The state of an instrument, if the copy has it.
   * @param {string} symbol
   */
  find(symbol) {
    return this.states.get(this.ids.get(symbol) ?? -1);
  }

  /** The symbols of the instruments in the copy. */
  get symbols() {
    return [...this.states.values()].map(({ definition }) => definition.symbol);
  }

  /** The present values of all instruments whose symbols match, by symbol. */
  values(matches = (/** @type {string} */ _) => true) {
    const states = [...this.states.values()].filter((each) => matches(each.definition.symbol));
    return plain(states.map((each) => /** @type {[string, Fields]} */ ([each.definition.symbol, each.present()])));
  }

  /**
   * Begin a connection. Returns true if it can resume this copy; otherwise the copy is emptied.
   * @param {Welcome} welcome
   * @param {boolean} resumable
   */
  welcome(welcome, resumable) {
    this.resuming = resumable && welcome.epoch === this.epoch && this.cursor <= welcome.cut;
    if (!this.resuming) {
      this.epoch = welcome.epoch;
      this.cursor = welcome.cut;
      this.time = welcome.time;
      this.definedText = 0;
      for (const map of [this.definitions, this.ids, this.states]) map.clear();
    }
    return this.resuming;
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
      const lowered = known && (known.priceScale > each.priceScale || known.sizeScale > each.sizeScale);
      if (lowered || (known && known.symbol !== each.symbol)) {
        throw malformed(`instrument ${each.id}: a scale was lowered or the symbol changed`);
      }
      if ((symbols.get(each.symbol) ?? this.ids.get(each.symbol) ?? each.id) !== each.id) {
        throw malformed(`instrument ${each.id}: another one has its symbol`);
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
      this.definitions.set(id, each);
      this.ids.set(each.symbol, id);
      this.states.get(id)?.redefine(each);
    }
  }

  /**
   * Apply a DELTA or SNAPSHOT whole. Returns the changed fields by instrument, null for withdrawn ones. Raises
   * TickerError for a message that does not follow the cursor or is invalid; the copy is then as it was.
   * @param {Delta | Snapshot} message
   * @returns {Map<InstrumentState, WireFields>}
   */
  apply(message) {
    const { since, cut } = message;
    if (since > this.cursor) throw malformed(`a delta since cut ${since} cannot follow cut ${this.cursor}`);
    if (cut < this.cursor) throw malformed(`cut ${cut} after cut ${this.cursor}`);
    const changes = this.#checked(message.changes, (id) => this.states.get(id)?.values);
    const records = this.#checked(message.kind === "snapshot" ? message.records : [], () => undefined);
    /** @type {Map<InstrumentState, WireFields>} */
    const changed = new Map();
    for (const { definition: { id }, fields } of changes) {
      const state = this.states.get(id);
      state?.merge(fields);
      if (state) changed.set(state, fields);
    }
    for (const { definition, fields } of records) {
      if (!this.wants(definition.symbol)) continue;
      const before = this.states.get(definition.id);
      const state = new InstrumentState(definition);
      state.merge(fields);
      this.states.set(definition.id, state);
      const merged = before && new Map([...(changed.get(before) ?? []), ...before.withdrawn(), ...fields]);
      changed.set(state, merged ?? fields);
      if (before) changed.delete(before);
    }
    this.cursor = message.cut;
    this.time = message.time;
    return changed;
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

  /** Drop unsubscribed instruments. Returns their last values by symbol. */
  dropUnwanted() {
    /** @type {Map<string, Fields>} */
    const dropped = new Map();
    for (const [id, state] of this.states) {
      if (this.wants(state.definition.symbol)) continue;
      dropped.set(state.definition.symbol, state.present());
      this.states.delete(id);
    }
    return dropped;
  }

  /**
   * Valid entries with their instruments, without fields of a later version.
   * @param {unknown[]} entries
   * @param {(id: number) => WireFields | undefined} held the fields to which those of an instrument are added
   */
  #checked(entries, held) {
    if (entries.length % 2) throw malformed("entries come in pairs of id and fields");
    /** @type {Map<unknown, {definition: Definition, fields: WireFields}>} */
    const checked = new Map();
    for (let index = 0; index < entries.length; index += 2) {
      const [id, fields] = [entries[index], entries[index + 1]];
      const definition = this.definitions.get(/** @type {number} */ (id));
      if (!definition) throw malformed(`an entry of instrument ${id}, which was not defined`);
      if (!(fields instanceof Map) || checked.has(id)) throw malformed(`instrument ${id}: not one map of fields`);
      for (const [key, value] of fields) {
        if (!isKnown(key)) fields.delete(key);
        else if (!isValid(key, value)) throw malformed(`instrument ${id}: a field has a value that it cannot have`);
      }
      checkCount(definition.id, held(definition.id), fields);
      checked.set(id, { definition, fields });
    }
    return checked.values();
  }
}
