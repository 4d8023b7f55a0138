/** Fields that left the copy, until they come again or are reported as withdrawn. */
export type ChangedFields = import("./fields.js").ChangedFields;
export type Fields = import("./fields.js").Fields;
/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./fields.js").Fields} Fields */
/**
 * These fields as withdrawn.
 * @param {Fields} fields
 * @returns {ChangedFields}
 */
export declare const withdrawn: (fields: Fields) => ChangedFields;
export declare class VanishedFields {
    #private;
    /** Number of instruments. */
    get size(): number;
    /**
     * Keep the last values of instruments that the copy no longer has.
     * @param {Iterable<[string, Readonly<Fields>]>} dropped by symbol
     */
    add(dropped: Iterable<[string, Readonly<Fields>]>): void;
    /**
     * The changes of an instrument that perhaps came again, with the withdrawal of the fields that did not.
     * @param {string} symbol
     * @param {ChangedFields} changes
     * @returns {ChangedFields}
     */
    complete(symbol: string, changes: ChangedFields): ChangedFields;
    /**
     * The withdrawal, by symbol, of the fields left of instruments that cannot come any more; undefined if none is.
     * @param {(symbol: string) => boolean} mayCome
     * @returns {Record<string, ChangedFields> | undefined}
     */
    takeWithdrawals(mayCome: (symbol: string) => boolean): Record<string, ChangedFields> | undefined;
}
