/**
 * The choice between the transports.
 *
 * `auto` begins with a WebSocket. After two in a row that failed although HTTP works, the event stream is used; the first
 * connection after some minutes tries a WebSocket again.
 */
export type TransportName = import("./options.js").TransportName;
export declare class TransportChoice {
    #private;
    /** @type {TransportName} */
    current: TransportName;
    /**
     * @param {"auto" | TransportName} preferred
     * @param {boolean} hasWebSocket
     * @param {number} eventsMs time for which the event stream stays chosen
     */
    constructor(preferred: "auto" | TransportName, hasWebSocket: boolean, eventsMs: number);
    /**
     * Choose for the next connection.
     * @param {number} now
     */
    choose(now: number): void;
    /** A connection worked. */
    worked(): void;
    /**
     * A WebSocket failed although HTTP works. Returns whether the event stream is chosen now.
     * @param {number} now
     */
    webSocketFailed(now: number): boolean;
}
