/** One record of the copy, of an instrument or of a table: its definition and its present values, still scaled. */
import { TableRows } from "./rows.js";
export type ChangedFields = import("./fields.js").ChangedFields;
export type Fields = import("./fields.js").Fields;
export type Definition = import("./messages.js").Definition;
export type FieldKey = import("./messages.js").FieldKey;
export type WireFields = import("./messages.js").WireFields;
export type WireValue = import("./messages.js").WireValue;
export type RowsByKey = import("./rows.js").RowsByKey;
export type TableName = import("./tables.js").TableName;
export type CheckedFields = Map<FieldKey, WireValue | RowsByKey>;
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
export declare function checkedFields(definition: Definition, table: TableName | undefined, fields: Map<unknown, unknown>): CheckedFields;
export declare class RecordState {
    #private;
    definition: import("./messages.js").Definition;
    /**
     * Fields without rows.
     * @type {WireFields}
     */
    values: WireFields;
    /** The rows of a table. */
    rows: TableRows | undefined;
    /**
     * The present values by name, until one changes.
     * @type {Readonly<Fields> | undefined}
     */
    shown: Readonly<Fields> | undefined;
    /**
     * @param {Definition} definition
     * @param {TableName | undefined} table
     */
    constructor(definition: Definition, table: TableName | undefined);
    /**
     * Replace the definition, and move the numbers to its scales.
     * @param {Definition} definition
     */
    redefine(definition: Definition): void;
    /**
     * Check that the record does not grow beyond its limits; `anew`: the fields replace all that there is.
     * @param {CheckedFields} fields
     * @param {boolean} anew
     */
    check(fields: CheckedFields, anew: boolean): void;
    /**
     * Merge changes. Returns those of fields without rows.
     * @param {CheckedFields} fields
     */
    merge(fields: CheckedFields): import("./messages.js").WireFields;
    /**
     * Replace all values. Returns the changes of fields without rows; those that are gone are null.
     * @param {CheckedFields} fields
     */
    replace(fields: CheckedFields): import("./messages.js").WireFields;
    /**
     * All present fields without rows as withdrawn.
     * @returns {WireFields}
     */
    withdrawn(): WireFields;
    /**
     * The present fields as on the wire; fields without rows are absent.
     * @returns {Map<FieldKey, unknown>}
     */
    wire(): Map<FieldKey, unknown>;
    /**
     * Values of this record by field name.
     * @param {WireFields} values
     * @returns {ChangedFields}
     */
    fields(values: WireFields): ChangedFields;
    /**
     * The present values by field name: the same object until one changes, and the same arrays until a row of them does.
     * @returns {Readonly<Fields>}
     */
    present(): Readonly<Fields>;
}
