/** Descriptions of instruments, as users get them. */
export type Instrument = {
    symbol: string;
    priceScale: number;
    sizeScale: number;
    metadata: Record<string, string>;
};
export type Found = {
    instruments: Instrument[];
    more: boolean;
};
/** @typedef {{symbol: string, priceScale: number, sizeScale: number, metadata: Record<string, string>}} Instrument */
/** @typedef {{instruments: Instrument[], more: boolean}} Found */
/**
 * The description in a definition.
 * @param {import("./messages.js").Definition} definition
 * @returns {Instrument}
 */
export declare const describe: ({ symbol, priceScale, sizeScale, metadata }: import("./messages.js").Definition) => Instrument;
/**
 * Instruments found over a WebSocket (PROTOCOL.md, section 5).
 * @param {Map<string, unknown>} result
 * @returns {Found}
 */
export declare function foundInReply(result: Map<string, unknown>): Found;
export type Answer = {
    instruments: {
        symbol: string;
        price_scale: number;
        size_scale: number;
        metadata: Record<string, string>;
    }[];
    more: boolean;
};
/**
 * Instruments found over HTTP.
 * @typedef {{instruments: {symbol: string, price_scale: number, size_scale: number, metadata: Record<string, string>}[], more: boolean}} Answer
 * @param {Answer} answer
 * @returns {Found}
 */
export declare function foundInAnswer({ instruments, more }: Answer): Found;
