/**
 * A client's copy of the market: messages in, values out.
 *
 * The copy equals the server's at the cursor. A message is applied whole, or refused and the copy stays as it was.
 * Unsubscribed symbols are ignored.
 */
export type Fields = import("./fields.js").Fields;
export type ChangedFields = import("./fields.js").ChangedFields;
export type Value = import("./fields.js").Value;
export type Definition = import("./messages.js").Definition;
export type Delta = import("./messages.js").Delta;
export type FieldKey = import("./messages.js").FieldKey;
export type Heartbeat = import("./messages.js").Heartbeat;
export type Snapshot = import("./messages.js").Snapshot;
export type Welcome = import("./messages.js").Welcome;
export type WireFields = import("./messages.js").WireFields;
/** One instrument of the copy: its definition and its present values, still scaled. */
export declare class InstrumentState {
    definition: import("./messages.js").Definition;
    /** @type {WireFields} */
    values: WireFields;
    /**
     * The present values by name, until one changes.
     * @type {Readonly<Fields> | undefined}
     */
    shown: Readonly<Fields> | undefined;
    /** @param {Definition} definition */
    constructor(definition: Definition);
    /**
     * Replace the definition, and move the numbers to its scales.
     * @param {Definition} definition
     */
    redefine(definition: Definition): void;
    /** @param {WireFields} fields */
    merge(fields: WireFields): void;
    /**
     * All present fields as withdrawn.
     * @returns {[FieldKey, null][]}
     */
    withdrawn(): [FieldKey, null][];
    /**
     * Values of this instrument by field name.
     * @param {WireFields} values
     * @returns {ChangedFields}
     */
    fields(values: WireFields): ChangedFields;
    /**
     * The present values by field name: the same object until one changes.
     * @returns {Readonly<Fields>}
     */
    present(): Readonly<Fields>;
}
/** The copy of the market. */
export declare class Replica {
    #private;
    wants: (symbol: string) => boolean;
    epoch: string;
    /** The cut through which the copy is complete. */
    cursor: number;
    /** Time of that cut in microseconds since 1970 UTC, by the server's clock. */
    time: number;
    /** RESUME has no reply yet, so the server's own cut does not hold for this copy. */
    resuming: boolean;
    /** @type {Map<number, Definition>} */
    definitions: Map<number, Definition>;
    /** Characters of all definitions. */
    definedText: number;
    /** @type {Map<string, number>} */
    ids: Map<string, number>;
    /** @type {Map<number, InstrumentState>} */
    states: Map<number, InstrumentState>;
    /** @param {(symbol: string) => boolean} wants whether a symbol is subscribed at the moment */
    constructor(wants: (symbol: string) => boolean);
    /**
     * The definition of an instrument, if it is known.
     * @param {string} symbol
     */
    definition(symbol: string): import("./messages.js").Definition | undefined;
    /**
     * The state of an instrument, if the copy has it.
     * @param {string} symbol
     */
    find(symbol: string): InstrumentState | undefined;
    /** The symbols of the instruments in the copy. */
    get symbols(): string[];
    /** The present values of all instruments whose symbols match, by symbol. */
    values(matches?: (/** @type {string} */ _: string) => boolean): Record<string, import("./fields.js").Fields>;
    /**
     * Begin a connection. Returns true if it can resume this copy; otherwise the copy is emptied.
     * @param {Welcome} welcome
     * @param {boolean} resumable
     */
    welcome(welcome: Welcome, resumable: boolean): boolean;
    /**
     * Add definitions, all or none.
     * @param {Definition[]} definitions
     */
    define(definitions: Definition[]): void;
    /**
     * Apply a DELTA or SNAPSHOT whole. Returns the changed fields by instrument, null for withdrawn ones. Raises
     * TickerError for a message that does not follow the cursor or is invalid; the copy is then as it was.
     * @param {Delta | Snapshot} message
     * @returns {Map<InstrumentState, WireFields>}
     */
    apply(message: Delta | Snapshot): Map<InstrumentState, WireFields>;
    /**
     * Advance the cursor: nothing changed through this cut.
     * @param {Heartbeat} heartbeat
     */
    beat(heartbeat: Heartbeat): void;
    /** Drop unsubscribed instruments. Returns their last values by symbol. */
    dropUnwanted(): Map<string, import("./fields.js").Fields>;
}
