/** Events of the client and of a subscription, with types for their listeners. */

/** @typedef {import("./fields.js").ChangedFields} ChangedFields */

/**
 * One moment of the market: with it, the copy equals the server's at `cut`. `timeUs` is `time` in microseconds since 1970
 * UTC, by the server's clock; `changes` are by symbol, in objects without a prototype, which are the same ones for all
 * listeners and loops of a client: to be read only.
 * @typedef {{cut: number, time: Date, timeUs: number, changes: Readonly<Record<string, Readonly<ChangedFields>>>}} Change
 */
/**
 * @typedef {"connecting" | "connected" | "waiting" | "closed"} State
 */
/**
 * The state of the client:
 *
 * - `reason`: why it is `waiting` or `closed`; `code`, `status` and `closeCode` as in TickerError, where they are known
 * - `retryMs`: time until the next connection attempt while `waiting`; none if it waits for a visible page or a subscription
 * - `url`: the address of this connection, or of the one that ended; the next attempt may be at another one
 * - `resumed`: once `connected`, whether the copy is continued from the cursor; otherwise it is taken anew
 * @typedef {{state: State, reason?: string, retryMs?: number, resumed?: boolean, url?: string} & import("./errors.js").Failure} StateChange
 */
/** @typedef {Event & {change: Change}} ChangeEvent */
/** @typedef {Event & StateChange} StateEvent */
/**
 * A name that the server refused, or does not know yet (code 6). The codes: PROTOCOL.md, section 7.
 * @typedef {Event & import("./messages.js").Outcome} RefusedEvent
 */
/**
 * For `seconds` after the server's answer no instrument has had this symbol or matched this pattern; said once. The name
 * stays subscribed: should such an instrument appear, its values come.
 * @typedef {Event & {name: string, seconds: number}} UnmatchedEvent
 */
/**
 * `Client.verify` has found that the copy is not what the service has at this cut. The copy is dropped, and everything is
 * subscribed anew on a new connection.
 * @typedef {Event & {cut: number}} MismatchEvent
 */
/**
 * Since then the server has heard nothing from the source of its data, so that prices may be out of date; null: it hears it
 * again. A new connection ends it as well.
 * @typedef {Event & {since: Date | null}} SourceEvent
 */
/**
 * @typedef {{
 *   change: ChangeEvent, state: StateEvent, refused: RefusedEvent, unmatched: UnmatchedEvent, mismatch: MismatchEvent,
 *   source: SourceEvent,
 * }} ClientEvents
 */
/** @typedef {boolean | AddEventListenerOptions} ListenerOptions */

/** Knows for which events there were listeners: others have to be told in another way. */
class ListeningTarget extends EventTarget {
  /** @type {Set<string>} */
  #heard = new Set();

  /**
   * @override
   * @param {string} type
   * @param {EventListenerOrEventListenerObject | null} listener
   * @param {ListenerOptions} [options]
   */
  addEventListener(type, listener, options) {
    this.#heard.add(type);
    super.addEventListener(type, listener, options);
  }

  /** @param {string} type */
  hasListened(type) {
    return this.#heard.has(type);
  }
}

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
export const TypedEventTarget = /** @type {new <Events>() => TypedTarget<Events>} */ (/** @type {unknown} */ (ListeningTarget));

/**
 * An event of this type with more properties.
 * @template {object} Properties
 * @param {string} type
 * @param {Properties} properties
 */
export const eventOf = (type, properties) => Object.assign(new Event(type), properties);

/**
 * @param {{cursor: number, time: number}} copy
 * @param {Readonly<Record<string, ChangedFields>>} changes
 * @returns {Change}
 */
export const changeOf = ({ cursor, time }, changes) => ({ cut: cursor, time: new Date(time / 1000), timeUs: time, changes });
