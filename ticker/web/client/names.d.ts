/**
 * The names of a client, from the user's wish to the server's answer.
 *
 * A name goes from *wanted* to *requested* (on this connection) to *confirmed* (its reply came, so the copy is complete
 * for it). Only confirmed names are resumed on the next connection. *Doubtful* names are all others of which the copy may
 * hold something: those without a reply, and those given up since. A resume has the server remove what only they keep.
 * A name of which other fields are wanted is requested again; until the reply nobody can tell which the copy has.
 */
export type Outcome = import("./messages.js").Outcome;
export type FieldSet = import("./wanted.js").FieldSet;
/** @typedef {import("./messages.js").Outcome} Outcome */
/** @typedef {import("./wanted.js").FieldSet} FieldSet */
/**
 * What a server would say of what is no name.
 * @param {string} name
 * @returns {Outcome}
 */
export declare function refusalOf(name: string): Outcome;
/**
 * These fields, if a name stands for instruments: tables come whole.
 * @param {string} name
 * @param {FieldSet} fields
 */
export declare const ofInstruments: (name: string, fields: FieldSet) => import("./wanted.js").FieldSet;
export declare class Names {
    #private;
    get wanted(): string[];
    get wanting(): boolean;
    get requested(): string[];
    /**
     * The fields that are asked for of a requested or confirmed name.
     * @param {string} name
     */
    fieldsOf(name: string): import("./wanted.js").FieldSet;
    /** The fields that all names want together. */
    get together(): string | undefined;
    get declined(): Set<string>;
    /** Confirmed names that are still wanted: those that a resume can name. */
    get resumable(): string[];
    /** Whether the wanted names, and no others, were requested on this connection, with the wanted fields. */
    get current(): boolean;
    /** Names that the server keeps, which may be without an instrument so far. */
    get kept(): string[];
    /** Wanted names for which the server has not answered on this connection. */
    get unanswered(): string[];
    /**
     * @param {readonly string[]} names
     * @param {FieldSet} fields
     */
    hasAnswersFor(names: readonly string[], fields: FieldSet): boolean;
    /**
     * @param {Iterable<string>} names
     * @param {FieldSet} fields
     */
    want(names: Iterable<string>, fields: FieldSet): void;
    /**
     * @param {Iterable<string>} names
     * @param {FieldSet} fields
     */
    giveUp(names: Iterable<string>, fields: FieldSet): void;
    /** Names that a resume has the server forget. What no server takes for a name has brought nothing. */
    get forgotten(): string[];
    /**
     * Begin a connection that resumes these names, and has the server forget those; without any, the copy is empty. It takes
     * so many sets of fields.
     * @param {string[]} resumed
     * @param {string[]} forgotten
     * @param {number} sets
     */
    begin(resumed: string[], forgotten: string[], sets: number): void;
    /**
     * Names that cannot be asked for.
     * @param {string[]} names
     */
    decline(names: string[]): void;
    /** Forget which names the server refused: they are asked for again. */
    clearDeclined(): void;
    /**
     * These names count as requested, with these fields, or have their answer without a request.
     * @param {string[]} names
     * @param {string[]} answered
     * @param {FieldSet} fields
     */
    beginStream(names: string[], answered: string[], fields: FieldSet): void;
    /** Bring the requested names in line with the wanted ones. Returns the names to give up and to request. */
    change(): {
        dropped: string[];
        added: string[];
    };
    /**
     * A request for names was sent; without `adds`, to give them up.
     * @param {number} id
     * @param {string[]} names
     * @param {boolean} adds
     */
    expect(id: number, names: string[], adds: boolean): void;
    /** The server has forgotten what was doubtful before this connection. */
    resumed(): void;
    /**
     * A request was answered: the copy is complete for its names, but for those that were declined. Returns the outcomes
     * other than `ok` of names that are still of interest.
     * @param {number} id
     * @param {Outcome[]} outcomes
     */
    answer(id: number, outcomes: Outcome[]): import("./messages.js").Outcome[];
    /**
     * A request was refused whole. Returns its names.
     * @param {number} id
     */
    fail(id: number): string[];
    /**
     * The resume with this id was refused: nothing of the copy is left, and its names are requested anew.
     * @param {number} id
     */
    failResume(id: number): void;
}
