/** Errors that the client raises on purpose, and the codes of the protocol (PROTOCOL.md, section 7). */
/** The codes on which the client acts. */
export declare const Code: Readonly<{
    OK: 0;
    MALFORMED: 1;
    UNKNOWN_SYMBOL: 6;
    BAD_SYMBOL: 7;
    TOO_MANY_SYMBOLS: 8;
    NOT_SUBSCRIBED: 9;
    WRONG_EPOCH: 10;
    BAD_TOKEN: 11;
    UNKNOWN_TABLE: 12;
    TOO_MANY_TABLES: 13;
}>;
export type Failure = {
    /**
     * Code of an ERROR message, else the HTTP status, else the close code.
     */
    code?: number;
    /**
     * HTTP status of the answer that refused the request.
     */
    status?: number;
    /**
     * Close code of the WebSocket (RFC 6455, section 7.4).
     */
    closeCode?: number;
};
/**
 * Numbers that tell failures apart, as far as the platform knows them.
 * @typedef {object} Failure
 * @property {number} [code] Code of an ERROR message, else the HTTP status, else the close code.
 * @property {number} [status] HTTP status of the answer that refused the request.
 * @property {number} [closeCode] Close code of the WebSocket (RFC 6455, section 7.4).
 */
/** An error that this client raises on purpose: a refused request, an ended connection, an unusable option. */
export declare class TickerError extends Error {
    /**
     * Code of an ERROR message (PROTOCOL.md, section 7), else the HTTP status, else the close code.
     * @type {number | undefined}
     */
    code: number | undefined;
    /**
     * HTTP status of the answer that refused the request or the connection.
     * @type {number | undefined}
     */
    status: number | undefined;
    /**
     * Close code of the WebSocket.
     * @type {number | undefined}
     */
    closeCode: number | undefined;
    /**
     * @param {string} text
     * @param {number} [code]
     * @param {Failure} [failure]
     */
    constructor(text: string, code?: number, { status, closeCode }?: Failure);
}
/**
 * A message that breaks the protocol.
 * @param {string} text
 */
export declare const malformed: (text: string) => TickerError;
/**
 * The text of any error, with its cause.
 * @param {unknown} error
 * @returns {string}
 */
export declare function errorText(error: unknown): string;
