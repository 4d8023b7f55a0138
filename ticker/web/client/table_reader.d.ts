/** What a book, trades and candles have in common for their reader: one table, and a status that is not too good. */
import { TypedEventTarget } from "./events.js";
export type TickerError = import("./errors.js").TickerError;
export type Features = import("./features.js").Features;
export type Fields = import("./fields.js").Fields;
export type Replica = import("./replica.js").Replica;
export type TableName = import("./tables.js").TableName;
export type Status = "live" | "stale" | "halted" | "closed";
/**
 * A table of one instrument, as a reader sees it. What it shows is always of one moment: the present one or, while a
 * connection is made again, the last one before.
 * @template Item
 * @template Events
 * @extends {TypedEventTarget<Events>}
 */
export declare class TableReader<Item, Events> extends TypedEventTarget<Events> {
    #private;
    /** @internal */
    copy: import("./replica.js").Replica;
    /**
     * Whether changes wait for the rest of their moment.
     * @internal
     */
    held: boolean;
    /**
     * @param {Replica} copy
     * @param {string} symbol
     * @param {TableName} wanted
     * @param {() => void} closed called when the user closes it
     */
    constructor(copy: Replica, symbol: string, wanted: TableName, closed: () => void);
    /** The name of the table: `BTC-USD book:10`. */
    get name(): string;
    /**
     * As the service says, and `stale` while there is no connection.
     * @returns {Status}
     */
    get status(): Status;
    /** The cause in a word, unless the status is `live`; `reconnecting` while there is no connection. */
    get reason(): string | undefined;
    /** The number of the moment that it shows. */
    get cut(): number;
    /** The time of that moment, by the service's clock. */
    get time(): Date;
    /** The same time in microseconds since 1970 UTC. */
    get timeUs(): number;
    [Symbol.asyncIterator](): this;
    /**
     * The next item, once there is one; done when this or the client was closed. Rejects with a TickerError if the client gave
     * up, or the service does not have the table.
     * @returns {Promise<IteratorResult<Item, undefined>>}
     */
    next(): Promise<IteratorResult<Item, undefined>>;
    /**
     * Wait until the service has sent all that it has; for a symbol that it does not know (yet), that is nothing. Rejects as
     * `next` does.
     */
    complete(): Promise<void>;
    /** Unsubscribe. */
    close(): void;
}
