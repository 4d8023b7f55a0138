/**
 * The part of msgpack that the protocol uses (PROTOCOL.md, section 3).
 *
 * Maps become Maps. A float becomes a Number object, so that 5.0 never passes for the integer 5. An integer of 2**53 or
 * more is refused wherever it stands. Invalid bytes raise a TickerError, whatever they are.
 */
/**
 * Decode one value that fills all the bytes.
 * @param {Uint8Array} bytes
 * @returns {unknown}
 */
export declare function unpack(bytes: Uint8Array): unknown;
/**
 * Number of bytes of a text in UTF-8.
 * @param {string} text
 */
export declare const utf8Length: (text: string) => number;
/**
 * Encode a request: a map of texts to integers, texts and arrays of texts.
 * @param {object} request
 * @returns {Uint8Array}
 */
export declare function encode(request: object): Uint8Array;
