/** Events of the client and of a subscription, with types for their listeners. */
export type ChangedFields = import("./fields.js").ChangedFields;
export type Change = {
    cut: number;
    time: Date;
    timeUs: number;
    changes: Record<string, ChangedFields>;
};
export type State = "connecting" | "connected" | "waiting" | "closed";
export type StateChange = {
    state: State;
    reason?: string;
    retryMs?: number;
    resumed?: boolean;
} & import("./errors.js").Failure;
export type ChangeEvent = Event & {
    change: Change;
};
export type StateEvent = Event & StateChange;
export type RefusedEvent = Event & import("./messages.js").Outcome;
export type ListenerOptions = boolean | AddEventListenerOptions;
export type TypedTarget<Events> = {
    addEventListener<Type extends keyof Events>(type: Type, listener: (event: Events[Type]) => void, options?: ListenerOptions): void;
    addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: ListenerOptions): void;
    removeEventListener<Type extends keyof Events>(type: Type, listener: (event: Events[Type]) => void, options?: ListenerOptions): void;
    removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: ListenerOptions): void;
    dispatchEvent(event: Event): boolean;
};
/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/**
 * One moment of the market: with it, the copy equals the server's at `cut`. `timeUs` is `time` in microseconds since 1970
 * UTC, by the server's clock; `changes` are by symbol, in objects without a prototype.
 * @typedef {{cut: number, time: Date, timeUs: number, changes: Record<string, ChangedFields>}} Change
 */
/**
 * @typedef {"connecting" | "connected" | "waiting" | "closed"} State
 */
/**
 * The state of the client:
 *
 * - `reason`: why it is `waiting` or `closed`; `code`, `status` and `closeCode` as in TickerError, where they are known
 * - `retryMs`: time until the next connection attempt while `waiting`; none if it waits for a visible page or a subscription
 * - `resumed`: once `connected`, whether the copy is continued from the cursor; otherwise it is taken anew
 * @typedef {{state: State, reason?: string, retryMs?: number, resumed?: boolean} & import("./errors.js").Failure} StateChange
 */
/** @typedef {Event & {change: Change}} ChangeEvent */
/** @typedef {Event & StateChange} StateEvent */
/**
 * A name that the server refused, or does not know yet (code 6). The codes: PROTOCOL.md, section 7.
 * @typedef {Event & import("./messages.js").Outcome} RefusedEvent
 */
/** @typedef {boolean | AddEventListenerOptions} ListenerOptions */
/**
 * An EventTarget whose listeners get events with types.
 * @template Events
 * @typedef {{
 *   addEventListener<Type extends keyof Events>(type: Type, listener: (event: Events[Type]) => void, options?: ListenerOptions): void,
 *   addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: ListenerOptions): void,
 *   removeEventListener<Type extends keyof Events>(type: Type, listener: (event: Events[Type]) => void, options?: ListenerOptions): void,
 *   removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: ListenerOptions): void,
 *   dispatchEvent(event: Event): boolean,
 * }} TypedTarget
 */
export declare const TypedEventTarget: new <Events>() => TypedTarget<Events>;
/**
 * An event of this type with more properties.
 * @template {object} Properties
 * @param {string} type
 * @param {Properties} properties
 */
export declare const eventOf: <Properties extends object>(type: string, properties: Properties) => Event & Properties;
/**
 * @param {{cursor: number, time: number}} copy
 * @param {Record<string, ChangedFields>} changes
 * @returns {Change}
 */
export declare const changeOf: ({ cursor, time }: {
    cursor: number;
    time: number;
}, changes: Record<string, ChangedFields>) => Change;
