/** The life of a client: one connection after another, over the transport that works, with the wait in between. */
export type State = import("./events.js").State;
export type StateChange = import("./events.js").StateChange;
export type End = import("./http.js").End;
export type Message = import("./messages.js").Message;
export type Outcome = import("./messages.js").Outcome;
export type Welcome = import("./messages.js").Welcome;
export type Options = import("./options.js").Options;
export type Timing = import("./options.js").Timing;
export type ClientSession = import("./session.js").ClientSession;
export type Received = import("./session.js").Received;
export type Request = import("./requests.js").Request;
export type StreamRequest = import("./session.js").StreamRequest;
export type Receiver = import("./transports.js").Receiver;
export type WebSocketClass = import("./transports.js").WebSocketClass;
export type Handlers = {
    state: (state: State, more: Omit<StateChange, "state">, end?: End) => void;
    message: (message: Message | null, received: Received) => void;
    refused: (outcomes: Outcome[]) => void;
    failed: (end: End) => void;
};
/** @typedef {import("./events.js").State} State */
/** @typedef {import("./events.js").StateChange} StateChange */
/** @typedef {import("./http.js").End} End */
/** @typedef {import("./messages.js").Message} Message */
/** @typedef {import("./messages.js").Outcome} Outcome */
/** @typedef {import("./messages.js").Welcome} Welcome */
/** @typedef {import("./options.js").Options} Options */
/** @typedef {import("./options.js").Timing} Timing */
/** @typedef {import("./session.js").ClientSession} ClientSession */
/** @typedef {import("./session.js").Received} Received */
/** @typedef {import("./requests.js").Request} Request */
/** @typedef {import("./session.js").StreamRequest} StreamRequest */
/** @typedef {import("./transports.js").Receiver} Receiver */
/** @typedef {import("./transports.js").WebSocketClass} WebSocketClass */
/**
 * The client's handlers of the events of its connections. `failed`: requests without an answer get none.
 * @typedef {object} Handlers
 * @property {(state: State, more: Omit<StateChange, "state">, end?: End) => void} state
 * @property {(message: Message | null, received: Received) => void} message
 * @property {(outcomes: Outcome[]) => void} refused
 * @property {(end: End) => void} failed
 */
export declare class Reconnector {
    #private;
    /**
     * @param {readonly string[]} bases
     * @param {Options} options
     * @param {Timing} timing
     * @param {ClientSession} session
     * @param {Handlers} handlers
     */
    constructor(bases: readonly string[], options: Options, timing: Timing, session: ClientSession, handlers: Handlers);
    get state(): import("./events.js").State;
    /** The address of the present connection, or of the next attempt. */
    get base(): string;
    /** The transport of the present connection, or of the next attempt. */
    get transport(): import("./options.js").TransportName;
    /** Number of bytes of messages received (characters, of an event stream). */
    get bytes(): number;
    /** Whether requests can be sent now. */
    get ready(): boolean;
    /** @param {Request} request */
    send(request: Request): void;
    /**
     * The instruments at a path, over HTTP.
     * @param {string} path
     */
    found(path: string): Promise<import("./instruments.js").Answer>;
    /**
     * Connect anew at once.
     * @param {string} reason
     */
    restart(reason: string): void;
    /**
     * End for good.
     * @param {End} [end] none if the user closes the client
     */
    finish(end?: End): void;
    /** Bring the server's subscriptions in line with ours, once for all changes of the present task. */
    synchronize(): void;
}
