/**
 * A client's copy of the market: messages in, values out.
 *
 * The copy equals the server's at the cursor. A message is applied whole, or refused and the copy stays as it was. The
 * server alone says which records belong to the copy: complete ones enter it, and REMOVED takes them out.
 *
 * Ids of instruments hold for the epoch, and those of tables, which are negative, for a connection: a copy that is resumed
 * keeps its tables by name, until INSTRUMENTS gives them their new ids.
 */
import { RecordState } from "./record.js";
export type Fields = import("./fields.js").Fields;
export type Definition = import("./messages.js").Definition;
export type Delta = import("./messages.js").Delta;
export type Heartbeat = import("./messages.js").Heartbeat;
export type Removed = import("./messages.js").Removed;
export type Snapshot = import("./messages.js").Snapshot;
export type Welcome = import("./messages.js").Welcome;
export type WireFields = import("./messages.js").WireFields;
export type CheckedFields = import("./record.js").CheckedFields;
export type TableName = import("./tables.js").TableName;
/** The copy of the market. */
export declare class Replica {
    #private;
    epoch: string;
    /** The cut through which the copy is complete. */
    cursor: number;
    /** Time of that cut in microseconds since 1970 UTC, by the server's clock. */
    time: number;
    /** Number of the server's life, as far as the client can tell: numbers of prints begin anew with each. */
    run: number;
    /** RESUME has no reply yet, so the server's own cut does not hold for this copy. */
    resuming: boolean;
    /** @type {Map<number, Definition>} */
    definitions: Map<number, Definition>;
    /** Characters of all definitions. */
    definedText: number;
    /** @type {Map<string, number>} */
    ids: Map<string, number>;
    /**
     * The records by id; without tables that have none on this connection so far.
     * @type {Map<number, RecordState>}
     */
    states: Map<number, RecordState>;
    /**
     * The definition of an instrument or table, if it is known.
     * @param {string} symbol
     */
    definition(symbol: string): import("./messages.js").Definition | undefined;
    /**
     * The record of an instrument or table, if the copy has it.
     * @param {string} symbol
     */
    find(symbol: string): RecordState | undefined;
    /** All records. */
    get records(): RecordState[];
    /** The symbols of the instruments, and the names of the tables, in the copy. */
    get symbols(): string[];
    /** The present values of all records whose names match, by name. */
    values(matches?: (/** @type {string} */ _: string) => boolean): Record<string, import("./fields.js").Fields>;
    /** The checksum of the copy (PROTOCOL.md, section 5); tables without an id do not count. */
    digest(): number;
    /**
     * Begin a connection. Returns true if it can resume this copy; otherwise the copy is emptied.
     * @param {Welcome} welcome
     * @param {boolean} resumable
     */
    welcome(welcome: Welcome, resumable: boolean): boolean;
    /** The copy is up to date with the server. Returns the tables that the server does not have: they left the copy. */
    resumed(): RecordState[];
    /**
     * Add definitions, all or none.
     * @param {Definition[]} definitions
     */
    define(definitions: Definition[]): void;
    /**
     * Apply a DELTA or SNAPSHOT whole. Returns the records that it touched, each with the changed fields that have no rows,
     * null for withdrawn ones. Raises TickerError for a message that does not follow the cursor or is invalid; the copy is
     * then as it was.
     * @param {Delta | Snapshot} message
     * @returns {Map<RecordState, WireFields>}
     */
    apply(message: Delta | Snapshot): Map<RecordState, WireFields>;
    /**
     * Take records out of the copy. Returns those that it held. Raises TickerError as `apply` does.
     * @param {Removed} message
     */
    remove(message: Removed): RecordState[];
    /**
     * Advance the cursor: nothing changed through this cut.
     * @param {Heartbeat} heartbeat
     */
    beat(heartbeat: Heartbeat): void;
}
