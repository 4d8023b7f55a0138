/**
 * The JavaScript client of Ticker: exact live prices in browsers and Node, through every reconnect (PROTOCOL.md).
 *
 *     const client = connect("https://localhost:8443");
 *     for await (const change of client.subscribe("EURUSD", "XAU*")) console.log(change.changes);
 *
 * This module holds the public names. Behind it, from the bytes up, `client/` has modules without I/O and without a clock
 * (`errors`, `texts`, `msgpack`, `tables`, `symbols`, `messages`, `fields`, `rows`, `record`, `digest`, `replica`,
 * `features`, `vanished`, `batches`, `names`, `verdict`, `admission`, `session`), the parts of a connection (`http`,
 * `unreachable`, `transports`, `connection`), those that make one after another (`reconnector`, `addresses`, `tokens`,
 * `transport_choice`, `visibility`), and `client` with its own parts: `arguments`, `events`, `options`, `instruments`, `requests`, `notices`;
 * what users read from, in `readers`: `subscription` (with `iterators`, `completion`, `table_changes`, `pending`), `book`,
 * `trades` and `candles` (with `table_reader`, `given`, `bar_times`); and `snapshot`.
 */
export { connect } from "./client/client.js";
export { TickerError } from "./client/errors.js";
export { decode } from "./client/messages.js";
export { encode } from "./client/msgpack.js";
export { Replica } from "./client/replica.js";
export { ClientSession } from "./client/session.js";
export { snapshot } from "./client/snapshot.js";
export { matcher } from "./client/symbols.js";
export type Book = import("./client/book.js").Book;
export type BookEvent = import("./client/book.js").BookEvent;
export type Candle = import("./client/candles.js").Candle;
export type Candles = import("./client/candles.js").Candles;
export type CandlesEvent = import("./client/candles.js").CandlesEvent;
export type Client = import("./client/client.js").Client;
export type Instrument = import("./client/instruments.js").Instrument;
export type Options = import("./client/options.js").Options;
export type Token = import("./client/options.js").Token;
export type Change = import("./client/events.js").Change;
export type ChangeEvent = import("./client/events.js").ChangeEvent;
export type MismatchEvent = import("./client/events.js").MismatchEvent;
export type RefusedEvent = import("./client/events.js").RefusedEvent;
export type SourceEvent = import("./client/events.js").SourceEvent;
export type State = import("./client/events.js").State;
export type StateEvent = import("./client/events.js").StateEvent;
export type UnmatchedEvent = import("./client/events.js").UnmatchedEvent;
export type Features = import("./client/features.js").Features;
export type ChangedFields = import("./client/fields.js").ChangedFields;
export type ChangedLevel = import("./client/fields.js").ChangedLevel;
export type Fields = import("./client/fields.js").Fields;
export type Value = import("./client/fields.js").Value;
export type Message = import("./client/messages.js").Message;
export type Bar = import("./client/rows.js").Bar;
export type Level = import("./client/rows.js").Level;
export type Print = import("./client/rows.js").Print;
export type Received = import("./client/session.js").Received;
export type Snapshot = import("./client/snapshot.js").Snapshot;
export type Subscription = import("./client/subscription.js").Subscription;
export type Trade = import("./client/trades.js").Trade;
export type Trades = import("./client/trades.js").Trades;
export type TradesEvent = import("./client/trades.js").TradesEvent;
/** @typedef {import("./client/book.js").Book} Book */
/** @typedef {import("./client/book.js").BookEvent} BookEvent */
/** @typedef {import("./client/candles.js").Candle} Candle */
/** @typedef {import("./client/candles.js").Candles} Candles */
/** @typedef {import("./client/candles.js").CandlesEvent} CandlesEvent */
/** @typedef {import("./client/client.js").Client} Client */
/** @typedef {import("./client/instruments.js").Instrument} Instrument */
/** @typedef {import("./client/options.js").Options} Options */
/** @typedef {import("./client/options.js").Token} Token */
/** @typedef {import("./client/events.js").Change} Change */
/** @typedef {import("./client/events.js").ChangeEvent} ChangeEvent */
/** @typedef {import("./client/events.js").MismatchEvent} MismatchEvent */
/** @typedef {import("./client/events.js").RefusedEvent} RefusedEvent */
/** @typedef {import("./client/events.js").SourceEvent} SourceEvent */
/** @typedef {import("./client/events.js").State} State */
/** @typedef {import("./client/events.js").StateEvent} StateEvent */
/** @typedef {import("./client/events.js").UnmatchedEvent} UnmatchedEvent */
/** @typedef {import("./client/features.js").Features} Features */
/** @typedef {import("./client/fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./client/fields.js").ChangedLevel} ChangedLevel */
/** @typedef {import("./client/fields.js").Fields} Fields */
/** @typedef {import("./client/fields.js").Value} Value */
/** @typedef {import("./client/messages.js").Message} Message */
/** @typedef {import("./client/rows.js").Bar} Bar */
/** @typedef {import("./client/rows.js").Level} Level */
/** @typedef {import("./client/rows.js").Print} Print */
/** @typedef {import("./client/session.js").Received} Received */
/** @typedef {import("./client/snapshot.js").Snapshot} Snapshot */
/** @typedef {import("./client/subscription.js").Subscription} Subscription */
/** @typedef {import("./client/trades.js").Trade} Trade */
/** @typedef {import("./client/trades.js").Trades} Trades */
/** @typedef {import("./client/trades.js").TradesEvent} TradesEvent */
