/** Events of the client and of a subscription, with types for their listeners. */
export type ChangedFields = import("./fields.js").ChangedFields;
export type Change = {
    cut: number;
    time: Date;
    timeUs: number;
    changes: Readonly<Record<string, Readonly<ChangedFields>>>;
};
export type State = "connecting" | "connected" | "waiting" | "closed";
export type StateChange = {
    state: State;
    reason?: string;
    retryMs?: number;
    resumed?: boolean;
    url?: string;
} & import("./errors.js").Failure;
export type ChangeEvent = Event & {
    change: Change;
};
export type StateEvent = Event & StateChange;
export type RefusedEvent = Event & import("./messages.js").Outcome;
export type UnmatchedEvent = Event & {
    name: string;
    seconds: number;
};
export type MismatchEvent = Event & {
    cut: number;
};
export type SourceEvent = Event & {
    since: Date | null;
};
export type ClientEvents = {
    change: ChangeEvent;
    state: StateEvent;
    refused: RefusedEvent;
    unmatched: UnmatchedEvent;
    mismatch: MismatchEvent;
    source: SourceEvent;
};
export type ListenerOptions = boolean | AddEventListenerOptions;
export type TypedTarget<Events> = {
    addEventListener<Type extends keyof Events>(type: Type, listener: (event: Events[Type]) => void, options?: ListenerOptions): void;
    addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: ListenerOptions): void;
    removeEventListener<Type extends keyof Events>(type: Type, listener: (event: Events[Type]) => void, options?: ListenerOptions): void;
    removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: ListenerOptions): void;
    dispatchEvent(event: Event): boolean;
    hasListened(type: keyof Events): boolean;
};
/**
 * An EventTarget whose listeners get events with types. `hasListened`: whether there ever was a listener for them.
 * @template Events
 * @typedef {{
 *   addEventListener<Type extends keyof Events>(type: Type, listener: (event: Events[Type]) => void, options?: ListenerOptions): void,
 *   addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: ListenerOptions): void,
 *   removeEventListener<Type extends keyof Events>(type: Type, listener: (event: Events[Type]) => void, options?: ListenerOptions): void,
 *   removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: ListenerOptions): void,
 *   dispatchEvent(event: Event): boolean,
 *   hasListened(type: keyof Events): boolean,
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
 * @param {Readonly<Record<string, ChangedFields>>} changes
 * @returns {Change}
 */
export declare const changeOf: ({ cursor, time }: {
    cursor: number;
    time: number;
}, changes: Readonly<Record<string, ChangedFields>>) => Change;
