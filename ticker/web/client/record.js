/** One record of the copy, of an instrument or of a table: its definition and its present values, still scaled. */

import { malformed } from "./errors.js";
import { PRICE, REASON, SIZE, STATUS, decimalText, isKnown, isValid, kindOf, knownStatus, nameOf, rescaled } from "./fields.js";
import { bare } from "./messages.js";
import { TableRows, checkedRows, isRowField, isRowFieldOf } from "./rows.js";

/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./messages.js").Definition} Definition */
/** @typedef {import("./messages.js").FieldKey} FieldKey */
/** @typedef {import("./messages.js").WireFields} WireFields */
/** @typedef {import("./messages.js").WireValue} WireValue */
/** @typedef {import("./rows.js").RowsByKey} RowsByKey */
/** @typedef {import("./tables.js").TableName} TableName */

const MAX_FIELDS = 66; // of one record, with status and reason

/**
 * Fields of a message after the check; rows are by their key.
 * @typedef {Map<FieldKey, WireValue | RowsByKey>} CheckedFields
 */

/**
 * Check the fields of an entry. Those of a later version are left out; without any, an instrument's are the same Map.
 * @param {Definition} definition
 * @param {TableName | undefined} table
 * @param {Map<unknown, unknown>} fields
 * @returns {CheckedFields}
 */
export function checkedFields(definition, table, fields) {
  if (!table) return checkedValues(definition, fields);
  const checked = new Map();
  for (const [key, value] of fields) {
    if (!isKnown(key)) continue;
    if (isRowFieldOf(table, key)) checked.set(key, checkedRows(definition, Number(key), value));
    else if (key !== STATUS && key !== REASON) throw malformed(`${definition.symbol}: a table has no field ${key}`);
    else if (isValid(key, value)) checked.set(key, value);
    else throw invalid(definition);
  }
  return checked;
}

/**
 * @param {Definition} definition
 * @param {Map<unknown, unknown>} fields
 * @returns {CheckedFields}
 */
function checkedValues(definition, fields) {
  let unknown = false;
  for (const [key, value] of fields) {
    if (!isKnown(key)) unknown = true;
    else if (!isValid(key, value)) throw invalid(definition);
  }
  return /** @type {CheckedFields} */ (unknown ? new Map([...fields].filter(([key]) => isKnown(key))) : fields);
}

/** @param {Definition} definition */
const invalid = ({ id }) => malformed(`instrument ${id}: a field has a value that it cannot have`);

export class RecordState {
  /**
   * @param {Definition} definition
   * @param {TableName | undefined} table
   */
  constructor(definition, table) {
    this.definition = definition;
    /**
     * Fields without rows.
     * @type {WireFields}
     */
    this.values = new Map();
    /** The rows of a table. */
    this.rows = table && new TableRows(definition, table);
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
    const before = this.definition;
    this.definition = definition;
    this.shown = undefined;
    this.rows?.redefine(definition);
    if (before.priceScale === definition.priceScale && before.sizeScale === definition.sizeScale) return;
    for (const [key, value] of this.values) {
      if (typeof value !== "number") continue;
      const kind = kindOf(key);
      if (kind === PRICE) this.values.set(key, rescaled(value, before.priceScale, definition.priceScale));
      else if (kind === SIZE) this.values.set(key, rescaled(value, before.sizeScale, definition.sizeScale));
    }
  }

  /**
   * Check that the record does not grow beyond its limits; `anew`: the fields replace all that there is.
   * @param {CheckedFields} fields
   * @param {boolean} anew
   */
  check(fields, anew) {
    for (const [key, value] of this.rows ? fields : []) {
      if (value instanceof Map) this.rows?.checkLevels(Number(key), value, anew);
    }
    const held = anew ? 0 : this.values.size;
    if (held + fields.size <= MAX_FIELDS) return;
    const keys = new Set(anew ? [] : this.values.keys());
    for (const [key, value] of fields) value === null ? keys.delete(key) : keys.add(key);
    if (keys.size > MAX_FIELDS) throw malformed(`instrument ${this.definition.id}: more than ${MAX_FIELDS} fields`);
  }

  /**
   * Merge changes. Returns those of fields without rows.
   * @param {CheckedFields} fields
   */
  merge(fields) {
    if (fields.size > 0) this.shown = undefined;
    const changed = /** @type {WireFields} */ (this.rows ? this.#mergeRows(this.rows, fields) : fields);
    for (const [key, value] of changed) {
      if (value === null) this.values.delete(key);
      else this.values.set(key, value);
    }
    return changed;
  }

  /**
   * Merge rows. Returns the other fields.
   * @param {TableRows} rows
   * @param {CheckedFields} fields
   */
  #mergeRows(rows, fields) {
    /** @type {CheckedFields} */
    const others = new Map();
    for (const [key, value] of fields) {
      if (isRowField(key)) rows.merge(Number(key), /** @type {RowsByKey | null} */ (value));
      else others.set(key, value);
    }
    return others;
  }

  /**
   * Replace all values. Returns the changes of fields without rows; those that are gone are null.
   * @param {CheckedFields} fields
   */
  replace(fields) {
    const changed = this.withdrawn();
    this.shown = undefined;
    this.values.clear();
    this.rows?.replace(fields);
    const others = this.rows ? [...fields].filter(([key]) => !isRowField(key)) : fields;
    for (const [key, value] of this.merge(new Map(others))) changed.set(key, value);
    return changed;
  }

  /**
   * All present fields without rows as withdrawn.
   * @returns {WireFields}
   */
  withdrawn() {
    return new Map([...this.values.keys()].map((key) => [key, null]));
  }

  /**
   * The present fields as on the wire; fields without rows are absent.
   * @returns {Map<FieldKey, unknown>}
   */
  wire() {
    /** @type {Map<FieldKey, unknown>} */
    const fields = new Map(this.values);
    for (const field of this.rows?.fields ?? []) {
      const flat = /** @type {TableRows} */ (this.rows).flat(field);
      if (flat.length > 0) fields.set(field, flat);
    }
    return fields;
  }

  /**
   * Values of this record by field name.
   * @param {WireFields} values
   * @returns {ChangedFields}
   */
  fields(values) {
    const { priceScale, sizeScale } = this.definition;
    /** @type {ChangedFields} */
    const fields = bare();
    for (const [key, value] of values) {
      const kind = kindOf(key);
      const scaled = (kind === PRICE || kind === SIZE) && typeof value === "number";
      fields[nameOf(key)] = scaled ? decimalText(value, kind === PRICE ? priceScale : sizeScale)
        : Array.isArray(value) ? value[0]
        : key === STATUS && value !== null ? knownStatus(String(value)) : value;
    }
    return fields;
  }

  /**
   * The present values by field name: the same object until one changes, and the same arrays until a row of them does.
   * @returns {Readonly<Fields>}
   */
  present() {
    if (this.shown) return this.shown;
    const fields = /** @type {Fields} */ (this.fields(this.values));
    for (const field of this.rows?.fields ?? []) fields[nameOf(field)] = this.rows?.present(field);
    return (this.shown = Object.freeze(fields));
  }
}
