/**
 * A client's conversation over all its connections: requests to send, and the meaning of messages. No I/O, no clock.
 *
 * - Names and their state: `names.js`. Only confirmed names are resumed; what is doubtful, the server has to remove.
 * - Nothing carries over to a new epoch: values of the old one that do not come again are reported as withdrawn.
 * - After a message that this client refuses, the copy is resumed once. After a second one without a reply in between, it
 *   is taken anew.
 */
import { Replica } from "./replica.js";
export type Features = import("./features.js").Features;
export type ChangedFields = import("./fields.js").ChangedFields;
export type Fields = import("./fields.js").Fields;
export type Delta = import("./messages.js").Delta;
export type ErrorMessage = import("./messages.js").ErrorMessage;
export type Heartbeat = import("./messages.js").Heartbeat;
export type Message = import("./messages.js").Message;
export type Outcome = import("./messages.js").Outcome;
export type Removed = import("./messages.js").Removed;
export type Reply = import("./messages.js").Reply;
export type Snapshot = import("./messages.js").Snapshot;
export type Welcome = import("./messages.js").Welcome;
export type RecordState = import("./record.js").RecordState;
export type Request = import("./requests.js").Request;
export type RequestFields = import("./requests.js").RequestFields;
export type Verdict = import("./verdict.js").Verdict;
export type FieldSet = import("./wanted.js").FieldSet;
export type Received = {
    changes?: Record<string, ChangedFields>;
    tables: string[];
    refused: Outcome[];
    answered?: boolean;
    tokenRefused?: string;
    verdict?: Verdict;
    source?: boolean;
    behind?: boolean;
};
export type StreamRequest = {
    names: string[];
    fields?: string;
    lastEventId?: string;
    wanted: string[];
    refused: Outcome[];
};
export declare class ClientSession {
    #private;
    replica: Replica;
    /**
     * What the service offers, as the latest WELCOME said; undefined before the first one.
     * @type {Features | undefined}
     */
    features: Features | undefined;
    /**
     * Limits of the latest connection, as its WELCOME, or the reply to a fresh token, told them.
     * @type {Map<string, number>}
     */
    limits: Map<string, number>;
    /** Number of servers among which the client can choose. */
    servers: number;
    /**
     * Time since when the server hears nothing from the source of its data, in microseconds since 1970 UTC.
     * @type {number | null}
     */
    sourceSilentSince: number | null;
    /** @param {number} [intervalMs] */
    constructor(intervalMs?: number);
    /** Whether the wanted names, and no others, were requested on this connection. */
    get current(): boolean;
    /** The wanted names. */
    get wanted(): Set<string>;
    /** Names that the server keeps, which may be without an instrument so far. */
    get kept(): string[];
    /** Whether any name is wanted. */
    get wanting(): boolean;
    /**
     * Whether the server has answered for these names, so the copy has these fields of them.
     * @param {readonly string[]} names
     * @param {FieldSet} [fields]
     */
    hasAllOf(names: readonly string[], fields?: FieldSet): boolean;
    /**
     * Want names, or some fields of what they match; a name that is wanted twice has to be given up twice.
     * @param {Iterable<string>} names
     * @param {FieldSet} [fields]
     */
    want(names: Iterable<string>, fields?: FieldSet): void;
    /**
     * @param {Iterable<string>} names
     * @param {FieldSet} [fields]
     */
    giveUp(names: Iterable<string>, fields?: FieldSet): void;
    /**
     * Begin a WebSocket.
     * @param {Welcome} welcome
     */
    begin(welcome: Welcome): void;
    /**
     * Request for a new event stream. It resumes from the cursor if its names are those of which the copy is made.
     * @returns {StreamRequest}
     */
    streamRequest(): StreamRequest;
    /**
     * Begin an event stream that was requested with `request`.
     * @param {Welcome} welcome
     * @param {StreamRequest} request
     */
    beginStream(welcome: Welcome, { names, fields, wanted, lastEventId }: StreamRequest): void;
    /** Requests that bring the server's subscriptions in line with the wanted names. */
    requests(): import("./requests.js").Request[];
    /**
     * A request with an id of its own.
     * @param {string} op
     * @param {RequestFields} fields
     * @returns {Request}
     */
    request(op: string, fields: RequestFields): Request;
    /**
     * Receive one message, null for an unknown one. Raises TickerError if it breaks the protocol: the connection is then
     * of no use, the copy is as it was, and a new connection can resume it.
     * @param {Message | null} message
     * @returns {Received}
     */
    receive(message: Message | null): Received;
    /** This client has refused a message of the connection. */
    refuseMessage(): void;
    /** The copy is of no use: the next connection takes it anew. */
    discard(): void;
}
