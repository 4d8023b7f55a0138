/**
 * Ticker in React: hooks that render again when what they return has changed (`ticker-push-client/react`).
 *
 *     const { bid, ask } = useValues(client, "EURUSD");
 *
 * A hook subscribes when its component is mounted, and unsubscribes when it is removed. On a server that renders pages,
 * where nothing is mounted, hooks return what they return before the first message. Where a `TickerError` ends a reader (a table
 * that the service does not have, a client that gave up), the hook throws it: an error boundary shows it.
 */
export type Book = import("./client/book.js").Book;
export type Candle = import("./client/candles.js").Candle;
export type Candles = import("./client/candles.js").Candles;
export type Client = import("./client/client.js").Client;
export type State = import("./client/events.js").State;
export type Fields = import("./client/fields.js").Fields;
export type Level = import("./client/rows.js").Level;
export type Status = import("./client/table_reader.js").Status;
export type Trade = import("./client/trades.js").Trade;
export type Trades = import("./client/trades.js").Trades;
export type Subscription = import("./client/subscription.js").Subscription;
export type ShownBook = {
    readonly bids: readonly Level[];
    readonly asks: readonly Level[];
    readonly status: Status;
    readonly reason: string | undefined;
};
export type Store<Shown> = {
    subscribe: (notify: () => void) => () => void;
    now: () => Shown;
    first: () => Shown;
};
/**
 * The present values of an instrument, or rows of a table by its name; empty until there are some.
 * @param {Client} client
 * @param {string} symbol
 * @returns {Readonly<Fields>}
 */
export declare function useValues(client: Client, symbol: string): Readonly<Fields>;
/**
 * The best levels of an instrument's order book. They stay while a connection is made again, and are `stale` then.
 * @param {Client} client
 * @param {string} symbol
 * @param {number} [depth]
 * @returns {ShownBook}
 */
export declare function useBook(client: Client, symbol: string, depth?: number): ShownBook;
/**
 * The latest trades of an instrument, at most `count`, the last one last.
 * @param {Client} client
 * @param {string} symbol
 * @param {number} [count]
 * @returns {readonly Trade[]}
 */
export declare function useTrades(client: Client, symbol: string, count?: number): readonly Trade[];
/**
 * The latest bars of an instrument, at most `count`, the last of which is still open. With `fill`, periods without a trade
 * have bars as well.
 * @param {Client} client
 * @param {string} symbol
 * @param {string} [period]
 * @param {number} [count]
 * @param {{fill?: boolean}} [options]
 * @returns {readonly Candle[]}
 */
export declare function useCandles(client: Client, symbol: string, period?: string, count?: number, { fill }?: {
    fill?: boolean;
}): readonly Candle[];
/**
 * Whether there is a connection: `connecting`, `connected`, `waiting` for the next attempt, or `closed`.
 * @param {Client} client
 * @returns {State}
 */
export declare function useConnection(client: Client): State;
