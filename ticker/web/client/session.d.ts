/**
 * A client's conversation over all its connections: requests to send, and the meaning of messages. No I/O, no clock.
 *
 * - A name goes from *wanted* to *requested* (on this connection) to *confirmed* (its reply came, so the copy is
 *   complete for it). Only confirmed names are resumed on the next connection.
 * - Nothing carries over to a new epoch: values of the old one that do not come again are reported as withdrawn.
 * - After an unsubscribe, new names are requested only once its reply came: records until then may be older than it.
 */
import { Replica } from "./replica.js";
export type ChangedFields = import("./fields.js").ChangedFields;
export type Delta = import("./messages.js").Delta;
export type ErrorMessage = import("./messages.js").ErrorMessage;
export type Message = import("./messages.js").Message;
export type Outcome = import("./messages.js").Outcome;
export type Reply = import("./messages.js").Reply;
export type Snapshot = import("./messages.js").Snapshot;
export type Welcome = import("./messages.js").Welcome;
export type Received = {
    changes?: Record<string, ChangedFields>;
    refused: Outcome[];
    answered?: boolean;
    tokenRefused?: string;
};
export type StreamRequest = {
    names: string[];
    lastEventId?: string;
    wanted: string[];
    refused: Outcome[];
};
export type RequestFields = {
    symbols?: string[];
    interval_ms?: number;
    epoch?: string;
    cursor?: number;
    token?: string;
    match?: string;
    after?: string;
};
export type Request = RequestFields & {
    op: string;
    id: number;
};
/**
 * The meaning of one message: changed fields by symbol, refused names, whether it answered for any names, and the text
 * of a refused token.
 * @typedef {{changes?: Record<string, ChangedFields>, refused: Outcome[], answered?: boolean, tokenRefused?: string}} Received
 */
/**
 * A request for an event stream: its names, the cursor to resume from, and all wanted names with those newly refused.
 * @typedef {{names: string[], lastEventId?: string, wanted: string[], refused: Outcome[]}} StreamRequest
 */
/**
 * Fields of a request besides `op` and `id` (PROTOCOL.md, section 3.2).
 * @typedef {{symbols?: string[], interval_ms?: number, epoch?: string, cursor?: number, token?: string, match?: string, after?: string}} RequestFields
 * @typedef {RequestFields & {op: string, id: number}} Request
 */
export declare class ClientSession {
    #private;
    replica: Replica;
    /** @param {number} [intervalMs] */
    constructor(intervalMs?: number);
    /** Whether the copy holds every wanted instrument that the server has. */
    get settled(): boolean;
    /** Whether the wanted names, and no others, were requested on this connection. */
    get current(): boolean;
    /**
     * Limits of the latest connection, as its WELCOME told them.
     * @returns {Map<string, number>}
     */
    get limits(): Map<string, number>;
    /** The wanted names. */
    get wanted(): Set<string>;
    /** Names that the server keeps, which may be without an instrument so far. */
    get kept(): string[];
    /**
     * Whether the server has answered for these names, so the copy has all that there is of them.
     * @param {readonly string[]} names
     */
    hasAllOf(names: readonly string[]): boolean;
    /** Whether any name is wanted. */
    get wanting(): boolean;
    /**
     * Want names; a name that is wanted twice has to be given up twice.
     * @param {Iterable<string>} names
     */
    want(names: Iterable<string>): void;
    /** @param {Iterable<string>} names */
    giveUp(names: Iterable<string>): void;
    /**
     * Begin a WebSocket.
     * @param {Welcome} welcome
     */
    begin(welcome: Welcome): void;
    /**
     * Request for a new event stream. It resumes from the cursor unless a name is wanted that is not confirmed.
     * @returns {StreamRequest}
     */
    streamRequest(): StreamRequest;
    /**
     * Begin an event stream that was requested with `request`.
     * @param {Welcome} welcome
     * @param {StreamRequest} request
     */
    beginStream(welcome: Welcome, { names, wanted, lastEventId }: StreamRequest): void;
    /** Requests that bring the server's subscriptions in line with the wanted names. */
    requests(): Request[];
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
}
