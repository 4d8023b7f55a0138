/**
 * Changes that one reader has not taken yet. It is bounded by the copy: fields are merged, and of each table only the
 * moment is kept that the reader saw last.
 *
 * Changes are given on as they are, without a copy, to readers that are not busy: the same objects for all of them. Only
 * where some wait already are they put together, in new objects.
 */
export type ChangedFields = import("./fields.js").ChangedFields;
export type Fields = import("./fields.js").Fields;
export type Replica = import("./replica.js").Replica;
export type Changes = Record<string, ChangedFields>;
/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./replica.js").Replica} Replica */
/** @typedef {Record<string, ChangedFields>} Changes */
export declare class Pending {
    #private;
    /** @param {Replica} copy */
    constructor(copy: Replica);
    get isEmpty(): boolean;
    /**
     * @param {Changes} changes of instruments, which stay as they are
     * @param {Iterable<string>} tables names of those that perhaps changed
     */
    add(changes: Changes, tables: Iterable<string>): void;
    /** All tables that the reader knows may have changed, and may be gone. */
    doubtTables(): void;
    /** Take all changes; undefined if there are none. */
    take(): Changes | undefined;
    /** Drop all changes. */
    clear(): void;
}
/** @param {object} object without inherited properties */
export declare function isEmpty(object: object): boolean;
