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
