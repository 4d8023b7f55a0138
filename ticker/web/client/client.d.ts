/** The client: subscriptions, values and requests over a connection that lasts. */
import { Book } from "./book.js";
import { Candles } from "./candles.js";
import { TypedEventTarget } from "./events.js";
import { Subscription } from "./subscription.js";
import { Trades } from "./trades.js";
export type ClientEvents = import("./events.js").ClientEvents;
export type State = import("./events.js").State;
export type StateChange = import("./events.js").StateChange;
export type ChangedFields = import("./fields.js").ChangedFields;
export type Fields = import("./fields.js").Fields;
export type End = import("./http.js").End;
export type Message = import("./messages.js").Message;
export type Outcome = import("./messages.js").Outcome;
export type Found = import("./instruments.js").Found;
export type Options = import("./options.js").Options;
export type Timing = import("./options.js").Timing;
export type Received = import("./session.js").Received;
export type RequestFields = import("./requests.js").RequestFields;
export type Verdict = import("./verdict.js").Verdict;
export type AnyTable = import("./readers.js").AnyTable;
export type Reader = import("./readers.js").Reader;
export type SubscribeOptions = import("./options.js").SubscribeOptions;
/**
 * Connect to a service, and stay connected until `close`.
 * @param {import("./options.js").Addresses} [url] https or wss://HOST:PORT, or several such addresses of one service: when a
 *   connection fails or is lost, the next one is tried; in a page, its own origin if left out
 * @param {Options} [options]
 * @returns {Client}
 * @throws {TickerError} if the address or an option cannot be used
 */
export declare function connect(url?: import("./options.js").Addresses, options?: Options): Client;
/**
 * A connection to a service that lasts until `close`.
 * @extends {TypedEventTarget<ClientEvents>}
 */
export declare class Client extends TypedEventTarget<ClientEvents> {
    #private;
    /**
     * @param {readonly string[]} bases
     * @param {Options} options
     * @param {Timing} timing
     */
    constructor(bases: readonly string[], options: Options, timing?: Timing);
    /** @returns {State} */
    get state(): State;
    /** The address of the present connection, or of the next attempt. */
    get url(): string;
    /** The transport of the present connection, or of the next attempt. */
    get transport(): import("./options.js").TransportName;
    /** The cut through which the copy is complete. */
    get cut(): number;
    /** Time of that cut. */
    get time(): Date;
    /** Time since when the server hears nothing from the source of its data; null if it does, as far as is known. */
    get sourceSilentSince(): Date | null;
    /** Number of changed instruments received. */
    get updates(): number;
    /** Number of bytes of messages received (characters, of an event stream). */
    get bytes(): number;
    /** The seconds by which the server shows the market later than it is, because its licence says so; 0 in real time. */
    get delaySeconds(): number;
    /** The tables that the service offers; undefined before the first connection. */
    get features(): import("./features.js").Features | undefined;
    /**
     * The most names that a connection may have, and the most tables and patterns among them; undefined where the service
     * has not told it, as before the first connection.
     * @returns {{symbols: number | undefined, tables: number | undefined, patterns: number | undefined}}
     */
    get limits(): {
        symbols: number | undefined;
        tables: number | undefined;
        patterns: number | undefined;
    };
    /**
     * Subscribe symbols, tables (`EURUSD book:10`) and patterns. With more names than one connection may have it raises, or,
     * if the limit is not known yet, the subscription ends with that error. A name that the service refuses, such as a table
     * that it does not offer, is told of with `refused`, and the others go on.
     *
     * With `fields` (`subscribe("EUR*", { fields: ["bid", "ask"] })`) it has only these of instruments, with `status` and
     * `reason`; only what the subscriptions of this client want together is sent, and in `values`. Tables come whole.
     * @param {string[] | [...names: string[], options: SubscribeOptions]} given names, perhaps with options behind them
     * @throws {TickerError} for names that are no texts, fields that cannot be, and too many names
     */
    subscribe(...given: string[] | [...names: string[], options: SubscribeOptions]): Subscription;
    /**
     * Subscribe to the best levels of an instrument's order book. The service has books of certain depths: the next larger
     * one is taken, and `depth` levels of it are shown.
     * @param {string} symbol
     * @param {number} [depth]
     * @throws {TickerError} if the service has no such book; before the first connection the book ends with that error
     */
    book(symbol: string, depth?: number): Book;
    /**
     * Subscribe to the trades of an instrument, beginning with the latest `count`.
     * @param {string} symbol
     * @param {number} [count]
     * @throws {TickerError} for more than the service keeps, as `book` does
     */
    trades(symbol: string, count?: number): Trades;
    /**
     * Subscribe to the latest `count` bars of an instrument. With `fill`, periods without a trade have bars as well.
     * @param {string} symbol
     * @param {string} [period] one of those that the service has: `1m`, `1h`
     * @param {number} [count]
     * @param {{fill?: boolean}} [options]
     * @throws {TickerError} for a period that does not exist and for more bars than the service keeps, as `book` does
     */
    candles(symbol: string, period?: string, count?: number, { fill }?: {
        fill?: boolean;
    }): Candles;
    /**
     * The present values of an instrument, or rows of a table; empty if there are none. It is the same, frozen, object until a
     * value changes.
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
     * At most 500 instruments of the service, ordered by symbol, that come after the symbol `after`; with `text`, those that have all of its
     * words in their symbol, name, venue or currency, in any case.
     * @param {string} [match]
     * @param {{after?: string, text?: string}} [options]
     * @returns {Promise<Found>}
     */
    search(match?: string, { after, text }?: {
        after?: string;
        text?: string;
    }): Promise<Found>;
    /**
     * Counters of this connection (PROTOCOL.md, section 5); WebSocket only.
     * @returns {Promise<Record<string, number>>}
     */
    stats(): Promise<Record<string, number>>;
    /** The round trip in milliseconds; WebSocket only. */
    ping(): Promise<number>;
    /**
     * Compare the copy with the service's, by a checksum of all that this client should hold; WebSocket only. Returns whether
     * they are equal. If not, the client dispatches `mismatch`, drops the copy, and subscribes everything anew.
     * @returns {Promise<boolean>}
     */
    verify(): Promise<boolean>;
    /** End all subscriptions and the connection. */
    close(): void;
}
