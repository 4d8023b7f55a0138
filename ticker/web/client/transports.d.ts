/** The two transports: a WebSocket, and server-sent events over fetch (PROTOCOL.md, sections 2 and 8). */
export type End = import("./http.js").End;
export type Receiver = {
    message: (payload: ArrayBuffer | string, size: number) => void;
    heard: () => void;
    end: (end: End) => void;
};
export type Transport = {
    send: (request: object) => void;
    close: () => void;
};
export type Socket = {
    binaryType: string;
    readonly readyState: number;
    onmessage: ((event: {
        data: ArrayBuffer | string;
    }) => void) | null;
    onerror: ((event: {
        error?: unknown;
        message?: string;
    }) => void) | null;
    onclose: ((event: {
        code: number;
    }) => void) | null;
    send(data: Uint8Array): void;
    close(): void;
};
export type WebSocketClass = new (url: string, protocols: string[]) => object;
/**
 * Callbacks of a transport: a message with its size, a sign of life, the end.
 * @typedef {{message: (payload: ArrayBuffer | string, size: number) => void, heard: () => void, end: (end: End) => void}} Receiver
 */
/** @typedef {{send: (request: object) => void, close: () => void}} Transport */
/**
 * The part of a WebSocket that is used, as browsers, Node and the package `ws` have it.
 * @typedef {{
 *   binaryType: string, readonly readyState: number,
 *   onmessage: ((event: {data: ArrayBuffer | string}) => void) | null,
 *   onerror: ((event: {error?: unknown, message?: string}) => void) | null,
 *   onclose: ((event: {code: number}) => void) | null,
 *   send(data: Uint8Array): void, close(): void,
 * }} Socket
 */
/** @typedef {new (url: string, protocols: string[]) => object} WebSocketClass */
/**
 * @param {string} base
 * @param {string | undefined} token
 * @param {WebSocketClass} WebSocket
 * @param {Receiver} receiver
 * @returns {Transport}
 */
export declare function openWebSocket(base: string, token: string | undefined, WebSocket: WebSocketClass, receiver: Receiver): Transport;
/**
 * @param {string} base
 * @param {string} query
 * @param {Record<string, string>} headers
 * @param {typeof globalThis.fetch} fetch
 * @param {Receiver} receiver
 * @returns {Transport}
 */
export declare function openEvents(base: string, query: string, headers: Record<string, string>, fetch: typeof globalThis.fetch, receiver: Receiver): Transport;
