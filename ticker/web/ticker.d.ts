/**
 * The JavaScript client of Ticker: exact live prices in browsers and Node, through every reconnect (PROTOCOL.md).
 *
 *     const client = connect("https://localhost:8443");
 *     for await (const change of client.subscribe("EURUSD", "XAU*")) console.log(change.changes);
 *
 * This module holds the public names. Behind it, from the bytes up, `client/` has modules without I/O and without a clock
 * (`errors`, `texts`, `msgpack`, `messages`, `symbols`, `fields`, `replica`, `vanished`, `batches`, `session`), the parts
 * of a connection (`http`, `unreachable`, `transports`, `connection`), those that make one after another (`reconnector`,
 * `tokens`, `transport_choice`, `visibility`), and `client` with its own parts (`arguments`, `events`, `options`, `instruments`,
 * `subscription`, `requests`, `notices`).
 */
export { connect } from "./client/client.js";
export { TickerError } from "./client/errors.js";
export { decode } from "./client/messages.js";
export { encode } from "./client/msgpack.js";
export { Replica } from "./client/replica.js";
export { ClientSession } from "./client/session.js";
export { matcher } from "./client/symbols.js";
export type Client = import("./client/client.js").Client;
export type Instrument = import("./client/instruments.js").Instrument;
export type Options = import("./client/options.js").Options;
export type Token = import("./client/options.js").Token;
export type Change = import("./client/events.js").Change;
export type ChangeEvent = import("./client/events.js").ChangeEvent;
export type RefusedEvent = import("./client/events.js").RefusedEvent;
export type State = import("./client/events.js").State;
export type StateEvent = import("./client/events.js").StateEvent;
export type UnmatchedEvent = import("./client/events.js").UnmatchedEvent;
export type ChangedFields = import("./client/fields.js").ChangedFields;
export type Fields = import("./client/fields.js").Fields;
export type Value = import("./client/fields.js").Value;
export type Message = import("./client/messages.js").Message;
export type Received = import("./client/session.js").Received;
export type Subscription = import("./client/subscription.js").Subscription;
/** @typedef {import("./client/client.js").Client} Client */
/** @typedef {import("./client/instruments.js").Instrument} Instrument */
/** @typedef {import("./client/options.js").Options} Options */
/** @typedef {import("./client/options.js").Token} Token */
/** @typedef {import("./client/events.js").Change} Change */
/** @typedef {import("./client/events.js").ChangeEvent} ChangeEvent */
/** @typedef {import("./client/events.js").RefusedEvent} RefusedEvent */
/** @typedef {import("./client/events.js").State} State */
/** @typedef {import("./client/events.js").StateEvent} StateEvent */
/** @typedef {import("./client/events.js").UnmatchedEvent} UnmatchedEvent */
/** @typedef {import("./client/fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./client/fields.js").Fields} Fields */
/** @typedef {import("./client/fields.js").Value} Value */
/** @typedef {import("./client/messages.js").Message} Message */
/** @typedef {import("./client/session.js").Received} Received */
/** @typedef {import("./client/subscription.js").Subscription} Subscription */
