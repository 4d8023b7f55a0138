/**
 * Ticker in React: hooks that render again when what they return has changed (`ticker-push-client/react`).
 *
 *     const { bid, ask } = useValues(client, "EURUSD");
 *
 * A hook subscribes when its component is mounted, and unsubscribes when it is removed. On a server that renders pages,
 * where nothing is mounted, hooks return what they return before the first message. Where a `TickerError` ends a reader (a table
 * that the service does not have, a client that gave up), the hook throws it: an error boundary shows it.
 */

import { useMemo, useSyncExternalStore } from "react";

/** @typedef {import("./client/book.js").Book} Book */
/** @typedef {import("./client/candles.js").Candle} Candle */
/** @typedef {import("./client/candles.js").Candles} Candles */
/** @typedef {import("./client/client.js").Client} Client */
/** @typedef {import("./client/events.js").State} State */
/** @typedef {import("./client/fields.js").Fields} Fields */
/** @typedef {import("./client/rows.js").Level} Level */
/** @typedef {import("./client/table_reader.js").Status} Status */
/** @typedef {import("./client/trades.js").Trade} Trade */
/** @typedef {import("./client/trades.js").Trades} Trades */
/** @typedef {import("./client/subscription.js").Subscription} Subscription */

/**
 * Of one moment; `reason` says in a word why the status is not `live`.
 * @typedef {{readonly bids: readonly Level[], readonly asks: readonly Level[], readonly status: Status,
 *   readonly reason: string | undefined}} ShownBook
 */

/**
 * @template Shown
 * @typedef {{subscribe: (notify: () => void) => () => void, now: () => Shown, first: () => Shown}} Store
 */

/** @type {Readonly<Fields>} */
const NO_VALUES = Object.freeze({});

/** @type {readonly never[]} */
const NO_ROWS = Object.freeze([]);

/** @type {ShownBook} */
const NO_BOOK = Object.freeze({ bids: NO_ROWS, asks: NO_ROWS, status: "stale", reason: "no_data" });

/**
 * The present values of an instrument, or rows of a table by its name; empty until there are some.
 * @param {Client} client
 * @param {string} symbol
 * @returns {Readonly<Fields>}
 */
export function useValues(client, symbol) {
  const made = () => {
    const values = () => client.values(symbol);
    return storeOf(() => client.subscribe(symbol), values, values(), NO_VALUES);
  };
  return useStore(useMemo(made, [client, symbol]));
}

/**
 * The best levels of an instrument's order book. They stay while a connection is made again, and are `stale` then.
 * @param {Client} client
 * @param {string} symbol
 * @param {number} [depth]
 * @returns {ShownBook}
 */
export function useBook(client, symbol, depth = 10) {
  const made = () => storeOf(() => client.book(symbol, depth), shownBook, NO_BOOK);
  return useStore(useMemo(made, [client, symbol, depth]));
}

/**
 * The latest trades of an instrument, at most `count`, the last one last.
 * @param {Client} client
 * @param {string} symbol
 * @param {number} [count]
 * @returns {readonly Trade[]}
 */
export function useTrades(client, symbol, count = 50) {
  const made = () => storeOf(() => client.trades(symbol, count), latestTrades, /** @type {readonly Trade[]} */ (NO_ROWS));
  return useStore(useMemo(made, [client, symbol, count]));
}

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
export function useCandles(client, symbol, period = "1m", count = 300, { fill = false } = {}) {
  const open = () => client.candles(symbol, period, count, { fill });
  const made = () => storeOf(open, barsOf, /** @type {readonly Candle[]} */ (NO_ROWS));
  return useStore(useMemo(made, [client, symbol, period, count, fill]));
}

/**
 * Whether there is a connection: `connecting`, `connected`, `waiting` for the next attempt, or `closed`.
 * @param {Client} client
 * @returns {State}
 */
export function useConnection(client) {
  return useStore(useMemo(() => connectionStore(client), [client]));
}

/** @param {Book} book @returns {ShownBook} */
const shownBook = ({ bids, asks, status, reason }) => ({ bids, asks, status, reason });

/** @param {Trades} trades */
const latestTrades = (trades) => trades.latest;

/** @param {Candles} candles */
const barsOf = (candles) => candles.bars;

/**
 * @template Shown
 * @param {Store<Shown>} store
 */
function useStore({ subscribe, now, first }) {
  return useSyncExternalStore(subscribe, now, first);
}

/**
 * What a reader shows: the same object until its next change, as React wants it. Each mounted component has a reader of its own.
 * @template {Subscription | Book | Trades | Candles} Reader
 * @template Shown
 * @param {() => Reader} open
 * @param {(reader: Reader) => Shown} show
 * @param {Shown} shown until the first change
 * @param {Shown} [first] on a server
 * @returns {Store<Shown>}
 */
function storeOf(open, show, shown, first = shown) {
  /** @type {unknown} */
  let failure;
  return {
    subscribe(notify) {
      /** @param {unknown} error */
      const fail = (error) => {
        failure = error;
        notify();
      };
      failure = undefined;
      try {
        const reader = open();
        reader.addEventListener("change", () => {
          shown = show(reader);
          notify();
        });
        reader.complete().catch(fail);
        return () => reader.close();
      } catch (error) {
        fail(error);
        return () => {};
      }
    },
    now() {
      if (failure !== undefined) throw failure;
      return shown;
    },
    first: () => first,
  };
}

/**
 * @param {Client} client
 * @returns {Store<State>}
 */
function connectionStore(client) {
  return {
    subscribe(notify) {
      client.addEventListener("state", notify);
      return () => client.removeEventListener("state", notify);
    },
    now: () => client.state,
    first: () => "connecting",
  };
}
