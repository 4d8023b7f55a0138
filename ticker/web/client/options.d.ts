/** Options of the client, its address, and its timing. */
export type WebSocketClass = import("./transports.js").WebSocketClass;
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
export type SubscribeOptions = {
    /**
     * Of instruments only these fields, with `status` and `reason`; left out, all.
     */
    fields?: readonly string[];
};
export type Timing = {
    connectMs: number;
    backoffMs: readonly number[];
    hiddenMs: number;
    eventsMs: number;
    unmatchedMs: number;
};
/** @typedef {import("./transports.js").WebSocketClass} WebSocketClass */
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
/**
 * @typedef {object} SubscribeOptions
 * @property {readonly string[]} [fields] Of instruments only these fields, with `status` and `reason`; left out, all.
 */
/**
 * How long the client waits, in milliseconds: for WELCOME and HTTP answers, between connections (least and most), before a
 * hidden page counts as hidden, before a WebSocket is tried again after the event stream, and before a name without an
 * instrument is reported.
 * @typedef {{connectMs: number, backoffMs: readonly number[], hiddenMs: number, eventsMs: number, unmatchedMs: number}} Timing
 */
/** @type {Timing} */
export declare const TIMING: Timing;
export type Addresses = string | URL | readonly (string | URL)[];
/** One address of a service, or several of the same. @typedef {string | URL | readonly (string | URL)[]} Addresses */
/**
 * The service's addresses, each once.
 * @param {Addresses | undefined} url
 */
export declare function basesOf(url: Addresses | undefined): string[];
