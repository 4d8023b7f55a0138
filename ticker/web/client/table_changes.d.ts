/** What changed in a table between two moments: for readers that skip what comes in between. */
export type ChangedFields = import("./fields.js").ChangedFields;
export type ChangedLevel = import("./fields.js").ChangedLevel;
export type Fields = import("./fields.js").Fields;
export type Bar = import("./rows.js").Bar;
export type Print = import("./rows.js").Print;
export type Rows = import("./rows.js").Rows;
export type ChangedRows = readonly (ChangedLevel | Print | Bar)[];
/**
 * The rows of `now` that are new or other ones. A level that is gone comes with null in place of its size; prints and bars
 * are never gone, the oldest ones only fall out.
 * @param {ChangedRows} before
 * @param {ChangedRows} now
 * @returns {(ChangedLevel | Print | Bar)[]}
 */
export declare function changedRows(before: ChangedRows, now: ChangedRows): (ChangedLevel | Print | Bar)[];
/**
 * The changes that lead from the fields of one moment to those of another; null for withdrawn fields without rows.
 * @param {Readonly<Fields>} [before]
 * @param {Readonly<Fields>} [now]
 * @returns {ChangedFields}
 */
export declare function tableChanges(before?: Readonly<Fields>, now?: Readonly<Fields>): ChangedFields;
