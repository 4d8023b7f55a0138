/** The client: it keeps a connection, over the transport that works, and feeds the subscriptions. */
import { TypedEventTarget } from "./events.js";
import { Subscription } from "./subscription.js";
export type ChangeEvent = import("./events.js").ChangeEvent;
export type RefusedEvent = import("./events.js").RefusedEvent;
export type State = import("./events.js").State;
export type StateChange = import("./events.js").StateChange;
export type StateEvent = import("./events.js").StateEvent;
export type ChangedFields = import("./fields.js").ChangedFields;
export type Fields = import("./fields.js").Fields;
export type End = import("./http.js").End;
export type ErrorMessage = import("./messages.js").ErrorMessage;
export type Message = import("./messages.js").Message;
export type Reply = import("./messages.js").Reply;
export type RequestFields = import("./session.js").RequestFields;
export type StreamRequest = import("./session.js").StreamRequest;
export type Receiver = import("./transports.js").Receiver;
export type WebSocketClass = import("./transports.js").WebSocketClass;
export type ClientEvents = {
    change: ChangeEvent;
    state: StateEvent;
    refused: RefusedEvent;
};
export type TransportName = "websocket" | "events";
export type Token = string | (() => string | Promise<string>);
export type Options = {
    token?: Token;
    /**
     * At most one message in so many milliseconds.
     */
    intervalMs?: number;
    /**
     * `auto`, the default: a WebSocket, or the event stream after a WebSocket
     * failed twice in a row although HTTP works. The first new connection five minutes later tries a WebSocket again.
     */
    transport?: "auto" | TransportName;
    /**
     * For platforms without one, such as Node 20: that of the package `ws`.
     */
    WebSocket?: WebSocketClass | null;
    fetch?: typeof fetch | null;
    /**
     * Whether a page that is hidden for some seconds stops its traffic until it
     * is visible: `pause`, the default.
     */
    whenHidden?: "pause" | "stream";
};
export type Instrument = {
    symbol: string;
    priceScale: number;
    sizeScale: number;
    metadata: Record<string, string>;
};
/** @typedef {import("./events.js").ChangeEvent} ChangeEvent */
/** @typedef {import("./events.js").RefusedEvent} RefusedEvent */
/** @typedef {import("./events.js").State} State */
/** @typedef {import("./events.js").StateChange} StateChange */
/** @typedef {import("./events.js").StateEvent} StateEvent */
/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./http.js").End} End */
/** @typedef {import("./messages.js").ErrorMessage} ErrorMessage */
/** @typedef {import("./messages.js").Message} Message */
/** @typedef {import("./messages.js").Reply} Reply */
/** @typedef {import("./session.js").RequestFields} RequestFields */
/** @typedef {import("./session.js").StreamRequest} StreamRequest */
/** @typedef {import("./transports.js").Receiver} Receiver */
/** @typedef {import("./transports.js").WebSocketClass} WebSocketClass */
/** @typedef {{change: ChangeEvent, state: StateEvent, refused: RefusedEvent}} ClientEvents */
/** @typedef {"websocket" | "events"} TransportName */
/**
 * A token, or a function that brings a fresh one: for each connection, and shortly before the present token expires.
 * @typedef {string | (() => string | Promise<string>)} Token
 */
/**
 * @typedef {object} Options
 * @property {Token} [token]
 * @property {number} [intervalMs] At most one message in so many milliseconds.
 * @property {"auto" | TransportName} [transport] `auto`, the default: a WebSocket, or the event stream after a WebSocket
 *   failed twice in a row although HTTP works. The first new connection five minutes later tries a WebSocket again.
 * @property {WebSocketClass | null} [WebSocket] For platforms without one, such as Node 20: that of the package `ws`.
 * @property {typeof fetch | null} [fetch]
 * @property {"pause" | "stream"} [whenHidden] Whether a page that is hidden for some seconds stops its traffic until it
 *   is visible: `pause`, the default.
 */
/** @typedef {{symbol: string, priceScale: number, sizeScale: number, metadata: Record<string, string>}} Instrument */
/**
 * How long the client waits, in milliseconds: for WELCOME and HTTP answers, between connections (least and most), before a
 * hidden page counts as hidden, and before a WebSocket is tried again after the event stream.
 */
export declare const TIMING: Readonly<{
    connectMs: 10000;
    backoffMs: readonly number[];
    hiddenMs: 3000;
    eventsMs: 300000;
}>;
/**
 * Connect to a service, and stay connected until `close`.
 * @param {string | URL} [url] https or wss://HOST:PORT; in a page, its own origin if left out
 * @param {Options} [options]
 * @returns {Client}
 * @throws {TickerError} if the address or an option cannot be used
 */
export declare function connect(url?: string | URL, options?: Options): Client;
/**
 * The service's address without its path: https://HOST:PORT.
 * @param {string | URL | undefined} url
 */
export declare function baseOf(url: string | URL | undefined): string;
/**
 * A connection to a service that lasts until `close`.
 * @extends {TypedEventTarget<ClientEvents>}
 */
export declare class Client extends TypedEventTarget<ClientEvents> {
    #private;
    /**
     * @param {string} base
     * @param {Options} options
     * @param {{connectMs: number, backoffMs: readonly number[], hiddenMs: number, eventsMs: number}} timing
     */
    constructor(base: string, options: Options, timing?: {
        connectMs: number;
        backoffMs: readonly number[];
        hiddenMs: number;
        eventsMs: number;
    });
    /** @returns {State} */
    get state(): State;
    /** The transport of the present connection, or of the next attempt. */
    get transport(): TransportName;
    /** The cut through which the copy is complete. */
    get cut(): number;
    /** Time of that cut. */
    get time(): Date;
    /** Number of changed instruments received. */
    get updates(): number;
    /** Number of bytes of messages received (characters, of an event stream). */
    get bytes(): number;
    /**
     * Subscribe symbols and patterns.
     * @param {...string} names
     */
    subscribe(...names: string[]): Subscription;
    /**
     * The present values of an instrument; empty if there are none.
     * @param {string} symbol
     * @returns {Fields}
     */
    values(symbol: string): Fields;
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
    instrument(symbol: string): Instrument | undefined;
    /**
     * At most 500 instruments of the service, ordered by symbol, that come after the symbol `after`.
     * @param {string} [match]
     * @param {{after?: string}} [options]
     * @returns {Promise<{instruments: Instrument[], more: boolean}>}
     */
    search(match?: string, { after }?: {
        after?: string;
    }): Promise<{
        instruments: Instrument[];
        more: boolean;
    }>;
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
