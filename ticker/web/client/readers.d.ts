/** All that the user of a client reads from, subscriptions and tables: kept up to date, and ended by what the server refuses. */
import { TickerError } from "./errors.js";
export type Book = import("./book.js").Book;
export type Candles = import("./candles.js").Candles;
export type ChangedFields = import("./fields.js").ChangedFields;
export type Outcome = import("./messages.js").Outcome;
export type ClientSession = import("./session.js").ClientSession;
export type Subscription = import("./subscription.js").Subscription;
export type Trades = import("./trades.js").Trades;
export type AnyTable = Book | Candles | Trades;
export type Reader = Subscription | AnyTable;
export declare class Readers {
    #private;
    /** @param {ClientSession} session */
    constructor(session: ClientSession);
    /**
     * Keep a reader up to date from now on.
     * @param {Reader} reader
     */
    add(reader: Reader): void;
    /**
     * Whether a reader is kept up to date.
     * @param {Reader} reader
     */
    has(reader: Reader): boolean;
    /**
     * Give a reader up. Returns whether there was one.
     * @param {Reader} reader
     */
    remove(reader: Reader): boolean;
    /** A new connection begins: what comes is a part only. With it, perhaps another service, other tables may be the best. */
    connected(): void;
    /** There is no connection. */
    lost(): void;
    /**
     * @param {Record<string, ChangedFields>} changes of instruments
     * @param {string[]} tables
     */
    take(changes: Record<string, ChangedFields>, tables: string[]): void;
    /** The server has answered: the copy may be complete for more of them. */
    answered(): void;
    /**
     * Names were refused. Readers for which there is no room end, and tables that there are not.
     * @param {Outcome[]} outcomes
     */
    refused(outcomes: Outcome[]): void;
    /**
     * All is over.
     * @param {TickerError} [error]
     */
    end(error?: TickerError): void;
}
