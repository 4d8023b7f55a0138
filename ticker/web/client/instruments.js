/** Descriptions of instruments, as users get them. */

import { definition } from "./messages.js";

/** @typedef {{symbol: string, priceScale: number, sizeScale: number, metadata: Record<string, string>}} Instrument */
/** @typedef {{instruments: Instrument[], more: boolean}} Found */

/**
 * The description in a definition.
 * @param {import("./messages.js").Definition} definition
 * @returns {Instrument}
 */
export const describe = ({ symbol, priceScale, sizeScale, metadata }) => ({ symbol, priceScale, sizeScale, metadata });

/**
 * Instruments found over a WebSocket (PROTOCOL.md, section 5).
 * @param {Map<string, unknown>} result
 * @returns {Found}
 */
export function foundInReply(result) {
  const found = /** @type {unknown[]} */ (result.get("instruments"));
  return { instruments: found.map(definition).map(describe), more: result.get("more") === true };
}

/**
 * Instruments found over HTTP.
 * @typedef {{instruments: {symbol: string, price_scale: number, size_scale: number, metadata: Record<string, string>}[], more: boolean}} Answer
 * @param {Answer} answer
 * @returns {Found}
 */
export function foundInAnswer({ instruments, more }) {
  const found = instruments.map(({ symbol, price_scale: priceScale, size_scale: sizeScale, metadata }) =>
    describe({ id: 0, symbol, priceScale, sizeScale, metadata }),
  );
  return { instruments: found, more };
}
