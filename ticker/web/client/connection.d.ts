/**
 * One connection, from its first byte to its end: WELCOME comes first, then messages; silence ends it.
 *
 * The transport is opened with `open`, and messages go to `welcome` and `message`, which raise TickerError for one that
 * breaks the protocol. `ended` settles once, with the server's reason for the end if it gave one.
 */
export type Message = import("./messages.js").Message;
export type Welcome = import("./messages.js").Welcome;
export type End = import("./http.js").End;
export type Receiver = import("./transports.js").Receiver;
export type Transport = import("./transports.js").Transport;
export type Handlers = {
    received: (size: number) => void;
    welcome: (welcome: Welcome) => void;
    message: (message: Message | null) => void;
};
/**
 * @typedef {object} Handlers
 * @property {(size: number) => void} received
 * @property {(welcome: Welcome) => void} welcome
 * @property {(message: Message | null) => void} message
 */
export declare class Connection {
    #private;
    /** Whether WELCOME has come. */
    welcomed: boolean;
    /** @type {Promise<End>} */
    ended: Promise<End>;
    /**
     * @param {boolean} binary
     * @param {number} connectMs time until WELCOME has to come
     * @param {Handlers} handlers
     */
    constructor(binary: boolean, connectMs: number, handlers: Handlers);
    /**
     * Open the transport.
     * @param {(receiver: Receiver) => Transport} openTransport
     */
    open(openTransport: (receiver: Receiver) => Transport): void;
    /** @param {object} request */
    send(request: object): void;
    /**
     * The server announced the end of this connection.
     * @param {End} end
     */
    announce(end: End): void;
    /**
     * End this connection from here.
     * @param {End} end
     */
    leave(end: End): void;
}
