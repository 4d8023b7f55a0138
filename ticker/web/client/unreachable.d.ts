/** Why no connection can be had, as far as the platform tells: Node by codes of errors, a browser not at all. */
/**
 * The reason in one line.
 * @param {unknown} error that of a fetch or a WebSocket
 * @param {string} base
 * @param {typeof globalThis.fetch | null | undefined} fetch
 * @param {number} timeoutMs
 * @returns {Promise<string>}
 */
export declare function whyUnreachable(error: unknown, base: string, fetch: typeof globalThis.fetch | null | undefined, timeoutMs: number): Promise<string>;
export type Linked = {
    code?: unknown;
    message?: unknown;
    cause?: unknown;
    errors?: unknown[];
};
