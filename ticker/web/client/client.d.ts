/** The client: subscriptions, values and requests over a connection that lasts. */
import { TypedEventTarget } from "./events.js";
import { Subscription } from "./subscription.js";
export type ChangeEvent = import("./events.js").ChangeEvent;
export type RefusedEvent = import("./events.js").RefusedEvent;
export type State = import("./events.js").State;
export type StateChange = import("./events.js").StateChange;
export type StateEvent = import("./events.js").StateEvent;
export type UnmatchedEvent = import("./events.js").UnmatchedEvent;
export type ChangedFields = import("./fields.js").ChangedFields;
export type Fields = import("./fields.js").Fields;
export type End = import("./http.js").End;
export type Message = import("./messages.js").Message;
export type Outcome = import("./messages.js").Outcome;
export type Found = import("./instruments.js").Found;
export type Options = import("./options.js").Options;
export type Timing = import("./options.js").Timing;
export type Received = import("./session.js").Received;
export type RequestFields = import("./session.js").RequestFields;
export type ClientEvents = {
    change: ChangeEvent;
    state: StateEvent;
    refused: RefusedEvent;
    unmatched: UnmatchedEvent;
};
/**
 * Connect to a service, and stay connected until `close`.
 * @param {string | URL} [url] https or wss://HOST:PORT; in a page, its own origin if left out
 * @param {Options} [options]
 * @returns {Client}
 * @throws {TickerError} if the address or an option cannot be used
 */
export declare function connect(url?: string | URL, options?: Options): Client;
/**
 * A connection to a service that lasts until `close`.
 * @extends {TypedEventTarget<ClientEvents>}
 */
export declare class Client extends TypedEventTarget<ClientEvents> {
    #private;
    /**
     * @param {string} base
     * @param {Options} options
     * @param {Timing} timing
     */
    constructor(base: string, options: Options, timing?: Timing);
    /** @returns {State} */
    get state(): State;
    /** The transport of the present connection, or of the next attempt. */
    get transport(): import("./options.js").TransportName;
    /** The cut through which the copy is complete. */
    get cut(): number;
    /** Time of that cut. */
    get time(): Date;
    /** Number of changed instruments received. */
    get updates(): number;
    /** Number of bytes of messages received (characters, of an event stream). */
    get bytes(): number;
    /**
     * Subscribe symbols and patterns. With more names than one connection may have it raises, or, if the limit is not
     * known yet, the subscription ends with that error.
     * @param {...string} names
     * @throws {TickerError} for anything but texts, and for too many names
     */
    subscribe(...names: string[]): Subscription;
    /**
     * The present values of an instrument; empty if there are none. It is the same, frozen, object until a value changes.
     * @param {string} symbol
     * @returns {Readonly<Fields>}
     */
    values(symbol: string): Readonly<Fields>;
    /**
     * A present value as a number, for charts; NaN if there is none.
     * @param {string} symbol
     * @param {string} field
     */
    number(symbol: string, field: string): number;
    /**
     * The definition of a subscribed instrument.
     * @param {string} symbol
     */
    instrument(symbol: string): import("./instruments.js").Instrument | undefined;
    /**
     * At most 500 instruments of the service, ordered by symbol, that come after the symbol `after`.
     * @param {string} [match]
     * @param {{after?: string}} [options]
     * @returns {Promise<Found>}
     */
    search(match?: string, { after }?: {
        after?: string;
    }): Promise<Found>;
    /**
     * Counters of this connection (PROTOCOL.md, section 5); WebSocket only.
     * @returns {Promise<Record<string, number>>}
     */
    stats(): Promise<Record<string, number>>;
    /** The round trip in milliseconds; WebSocket only. */
    ping(): Promise<number>;
    /** End all subscriptions and the connection. */
    close(): void;
}
