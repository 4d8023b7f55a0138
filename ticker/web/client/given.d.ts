/**
 * The rows of a log that a reader has been given, and what it is owed since: each row once, and again when it changes.
 *
 * As the server does it for its clients, what a reader is owed is computed when it takes it, and never queued. So a slow
 * reader costs a copy of the table, however much has happened meanwhile.
 */
export type Bar = import("./rows.js").Bar;
export type Print = import("./rows.js").Print;
export type Owed<Row> = {
    row: Row;
    missed: number;
    correction: boolean;
    restarted: boolean;
};
/**
 * Whether two rows mean the same: a higher scale changes the text of a number, and not the number.
 * @param {Print | Bar} one
 * @param {Print | Bar | undefined} other
 */
export declare function isSameRow(one: Print | Bar, other: Print | Bar | undefined): boolean;
/** @template {Print | Bar} Row */
export declare class GivenLog<Row extends Print | Bar> {
    #private;
    /** @param {(row: Row) => number} keyOf */
    constructor(keyOf: (row: Row) => number);
    /**
     * The rows that were not given, and take them as given; at first the latest `firstCount`.
     * @param {readonly Row[]} rows in ascending order
     * @param {number} run the server's life: in another one, keys mean the same only where a row is the same
     * @param {number} firstCount
     * @returns {Owed<Row>[]}
     */
    owed(rows: readonly Row[], run: number, firstCount: number): Owed<Row>[];
}
