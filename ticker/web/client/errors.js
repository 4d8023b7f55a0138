/** Errors that the client raises on purpose, and the codes of the protocol (PROTOCOL.md, section 7). */

/** The codes on which the client acts. */
export const Code = Object.freeze({
  OK: 0,
  MALFORMED: 1,
  UNKNOWN_SYMBOL: 6,
  BAD_SYMBOL: 7,
  TOO_MANY_SYMBOLS: 8,
  NOT_SUBSCRIBED: 9,
  WRONG_EPOCH: 10,
  BAD_TOKEN: 11,
  UNKNOWN_TABLE: 12,
  TOO_MANY_TABLES: 13,
});

/**
 * Numbers that tell failures apart, as far as the platform knows them.
 * @typedef {object} Failure
 * @property {number} [code] Code of an ERROR message, else the HTTP status, else the close code.
 * @property {number} [status] HTTP status of the answer that refused the request.
 * @property {number} [closeCode] Close code of the WebSocket (RFC 6455, section 7.4).
 */

/** An error that this client raises on purpose: a refused request, an ended connection, an unusable option. */
export class TickerError extends Error {
  /**
   * @param {string} text
   * @param {number} [code]
   * @param {Failure} [failure]
   */
  constructor(text, code, { status, closeCode } = {}) {
    super(text);
    this.name = "TickerError";
    /**
     * Code of an ERROR message (PROTOCOL.md, section 7), else the HTTP status, else the close code.
     * @type {number | undefined}
     */
    this.code = code;
    /**
     * HTTP status of the answer that refused the request or the connection.
     * @type {number | undefined}
     */
    this.status = status;
    /**
     * Close code of the WebSocket.
     * @type {number | undefined}
     */
    this.closeCode = closeCode;
  }
}

/**
 * A message that breaks the protocol.
 * @param {string} text
 */
export const malformed = (text) => new TickerError(text, Code.MALFORMED);

/**
 * The text of any error, with its cause.
 * @param {unknown} error
 * @returns {string}
 */
export function errorText(error) {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
