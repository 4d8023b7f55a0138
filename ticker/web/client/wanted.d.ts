/**
 * The names that a user wants, each with the fields that are wanted of it.
 *
 * A set of fields is its names in order, with commas between them; undefined are all fields. One name may be wanted several
 * times, with other fields each time: the union of them is asked for. Different names that match one instrument are put
 * together by the server.
 */
export type FieldSet = string | undefined;
/** @typedef {string | undefined} FieldSet */
/** @param {Iterable<string>} fields @returns {string} */
export declare const fieldSet: (fields: Iterable<string>) => string;
/**
 * Whether these fields have all that are wanted.
 * @param {FieldSet} fields
 * @param {FieldSet} wanted
 */
export declare function covers(fields: FieldSet, wanted: FieldSet): boolean;
export declare class WantedNames {
    #private;
    get names(): string[];
    get size(): number;
    /** @param {string} name */
    has(name: string): boolean;
    /**
     * Want names once more each, with these fields.
     * @param {Iterable<string>} names
     * @param {FieldSet} fields
     */
    add(names: Iterable<string>, fields: FieldSet): void;
    /**
     * Take an `add` back.
     * @param {Iterable<string>} names
     * @param {FieldSet} fields
     */
    remove(names: Iterable<string>, fields: FieldSet): void;
    /**
     * The fields to ask for by name: at most so many different sets of fields; names beyond have all.
     * @param {number} most
     * @returns {Map<string, FieldSet>}
     */
    byName(most: number): Map<string, FieldSet>;
    /** The fields that all names want together. */
    get together(): string | undefined;
}
