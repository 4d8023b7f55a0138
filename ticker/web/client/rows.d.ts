/**
 * Rows of a table: their columns, the values that these can have, their order, and their form for users.
 *
 * - Rows merge by their key, the first column: the price of a level, the number of a print, the start of a bar.
 * - Prints and bars are logs: the last N keys are kept, N being the number in the table's name.
 * - A book is never trimmed: the server says which levels leave it, as levels without a size. So more than N levels on a
 *   side break the protocol.
 */
export type Definition = import("./messages.js").Definition;
export type TableKind = import("./tables.js").TableKind;
export type TableName = import("./tables.js").TableName;
export type Cell = number | string | null;
export type Level = readonly [price: string, size: string];
export type Print = {
    readonly number: number;
    readonly price: string;
    readonly size: string;
    readonly time: number;
    readonly side: "buy" | "sell" | null;
    readonly id: string | number | null;
};
export type Bar = {
    readonly start: number;
    readonly open: string;
    readonly high: string;
    readonly low: string;
    readonly close: string;
    readonly volume: string | null;
    readonly count: number | null;
};
export type Rows = readonly Level[] | readonly Print[] | readonly Bar[];
export type Row = {
    cells: Cell[];
    shown?: Level | Print | Bar;
};
export type RowsByKey = Map<Cell, Row>;
export type Check = (cell: unknown) => boolean;
/**
 * Whether a field has the rows of this kind of table.
 * @param {TableName} table
 * @param {unknown} key
 */
export declare const isRowFieldOf: ({ kind }: TableName, key: unknown) => boolean;
/**
 * Rows of the wire, checked, by their key; null if the field is withdrawn.
 * @param {Definition} definition
 * @param {number} field
 * @param {unknown} flat
 * @returns {RowsByKey | null}
 */
export declare function checkedRows({ symbol }: Definition, field: number, flat: unknown): RowsByKey | null;
/**
 * Whether a field can have rows.
 * @param {unknown} key
 */
export declare const isRowField: (key: unknown) => boolean;
/** The rows of one table. */
export declare class TableRows {
    #private;
    /**
     * @param {Definition} definition
     * @param {TableName} table
     */
    constructor(definition: Definition, table: TableName);
    /** Fields that have rows in this table. */
    get fields(): number[];
    /** Number of rows for which the table has room. */
    get room(): number;
    /**
     * Replace the definition, and move the numbers to its scales.
     * @param {Definition} definition
     */
    redefine(definition: Definition): void;
    /**
     * Check that a book has no more levels after these changes than it may; `anew`: they replace all.
     * @param {number} field
     * @param {RowsByKey} changes
     * @param {boolean} anew
     */
    checkLevels(field: number, changes: RowsByKey, anew: boolean): void;
    /**
     * Merge checked rows; null takes all of the field away. Rows that are as before stay the same objects.
     * @param {number} field
     * @param {RowsByKey | null} changes
     */
    merge(field: number, changes: RowsByKey | null): void;
    /**
     * Replace all rows by these; those that are as before stay the same objects.
     * @param {Map<unknown, unknown>} fields
     */
    replace(fields: Map<unknown, unknown>): void;
    /**
     * The rows of a field as on the wire: columns one behind the other.
     * @param {number} field
     */
    flat(field: number): Cell[];
    /**
     * The rows of a field for users, in order: the same array until a row changes.
     * @param {number} field
     * @returns {Rows}
     */
    present(field: number): Rows;
}
