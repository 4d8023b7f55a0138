/** The JavaScript client of Ticker. What the fields mean: PROTOCOL.md, section 4. */

/** A fresh token, whenever one is needed: for each connection, and shortly before the present one expires. */
export type Token = string | (() => string | Promise<string>);

export interface Options {
  token?: Token;
  /** At most one message per so many milliseconds. */
  intervalMs?: number;
  /**
   * `auto`, the default: a WebSocket; the event stream where that failed twice in a row although HTTP works. A WebSocket
   * is tried again with the first connection that has to be made five minutes later.
   */
  transport?: "auto" | "websocket" | "events";
  /** For where there is none, such as Node 20: that of the package `ws`. */
  WebSocket?: new (url: string, protocols: string[]) => object;
  fetch?: typeof fetch;
  /** Whether a page that is hidden for some seconds stops its traffic until it is shown: `pause`, the default. */
  whenHidden?: "pause" | "stream";
}

/** Prices and sizes are exact decimal texts, integers numbers, texts strings. */
export type Value = string | number;

/** Values by field name. */
export interface Fields {
  bid?: string;
  bid_size?: string;
  ask?: string;
  ask_size?: string;
  last?: string;
  last_size?: string;
  open?: string;
  high?: string;
  low?: string;
  prev_close?: string;
  volume?: string;
  trade_count?: number;
  /** Exchange time, in microseconds since 1970 UTC. */
  time?: number;
  status?: string;
  reason?: string;
  /** Fields of the feed's own. */
  [name: string]: Value | undefined;
}

/** Only what changed; null is withdrawn. */
export type ChangedFields = { [Name in keyof Fields]: Fields[Name] | null };

/** One moment of the market: after it, the copy equals the server's at `cut`. */
export interface Change {
  cut: number;
  time: Date;
  /** The same in microseconds since 1970 UTC, by the server's clock. */
  timeUs: number;
  /** By symbol. These objects have no prototype. */
  changes: Record<string, ChangedFields>;
}

export interface Instrument {
  symbol: string;
  priceScale: number;
  sizeScale: number;
  metadata: Record<string, string>;
}

export type State = "connecting" | "connected" | "waiting" | "closed";

export interface ChangeEvent extends Event {
  change: Change;
}

export interface StateEvent extends Event {
  state: State;
  /** Why, of `waiting` and `closed`. */
  reason?: string;
  /** When the next connection is tried, of `waiting`; none if it waits for the page to be shown, or for a subscription. */
  retryMs?: number;
  /** Of `connected`: whether the copy goes on from where it was; otherwise everything comes anew. */
  resumed?: boolean;
}

/** What the server did not take, or does not know (yet: code 6). The codes: PROTOCOL.md, section 7. */
export interface RefusedEvent extends Event {
  /** The symbol or pattern, as it was subscribed. */
  name: string;
  code: number;
  text: string;
}

/**
 * Iterate over it, or listen to `change`. An iterator gets first all that is there already, and then what changed,
 * merged for as long as it does not ask. Leaving a loop does not close it: a later one goes on.
 */
export interface Subscription extends EventTarget, AsyncIterableIterator<Change> {
  readonly names: readonly string[];
  next(): Promise<IteratorResult<Change, undefined>>;
  [Symbol.asyncIterator](): this;
  /** Unsubscribe; what was not taken yet is dropped. */
  close(): void;
  addEventListener(type: "change", listener: (event: ChangeEvent) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
}

export interface Client extends EventTarget {
  readonly state: State;
  /** What is used, or tried, at the moment. */
  readonly transport: "websocket" | "events";
  /** The cut through which the copy is complete, and when it was closed. */
  readonly cut: number;
  readonly time: Date;
  /** How many changes of an instrument came. */
  readonly updates: number;
  /** How many bytes of messages came (characters, of an event stream). */
  readonly bytes: number;

  subscribe(...names: string[]): Subscription;
  /** The present values of an instrument; empty if there are none. */
  values(symbol: string): Fields;
  /** One of them as a number, for charts; NaN if there is none. */
  number(symbol: string, field: string): number;
  instrument(symbol: string): Instrument | undefined;
  /** At most 500, in the order of their symbols, from behind the symbol `after` on. */
  search(match?: string, options?: { after?: string }): Promise<{ instruments: Instrument[]; more: boolean }>;
  /** How this connection fares (PROTOCOL.md, section 5); WebSocket only. */
  stats(): Promise<Record<string, number>>;
  /** The round trip in milliseconds; WebSocket only. */
  ping(): Promise<number>;
  /** End all subscriptions, and the connection. */
  close(): void;

  addEventListener(type: "change", listener: (event: ChangeEvent) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: "state", listener: (event: StateEvent) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: "refused", listener: (event: RefusedEvent) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
}

/**
 * Connect to a service, and stay connected until `close`. `url` is https or wss://HOST:PORT; in a page, its own origin if
 * left out. Throws `TickerError` for what cannot be used.
 */
export function connect(url?: string | URL, options?: Options): Client;

/** `code` is that of an ERROR (PROTOCOL.md, section 7), of a WebSocket's close, or an HTTP status. */
export class TickerError extends Error {
  constructor(text: string, code?: number);
  code?: number;
}

// The pure core, for tests and for clients of another kind.

/** One message of the server: msgpack from bytes, JSON from a text. Null for a kind that this version does not know. */
export function decode(payload: Uint8Array | ArrayBuffer | string): { kind: string; [element: string]: unknown } | null;

/** The msgpack of a request. */
export function encode(request: object): Uint8Array;

/** Whether a symbol or pattern matches a symbol. */
export function matcher(name: string): (symbol: string) => boolean;

/** The copy of the market: messages go in, values come out. `wants` says which symbols are subscribed. */
export class Replica {
  constructor(wants: (symbol: string) => boolean);
  readonly epoch: string;
  readonly cursor: number;
  /** Microseconds since 1970 UTC. */
  readonly time: number;
  resuming: boolean;
  values(): Record<string, Fields>;
  welcome(message: unknown, resumable: boolean): boolean;
  define(definitions: unknown[]): void;
  apply(message: unknown): Map<unknown, Map<number | string, unknown>>;
  beat(message: unknown): void;
}

/** A client's conversation without sockets or clocks: what is to be sent, and what a message meant. */
export class Session {
  constructor(intervalMs?: number);
  readonly replica: Replica;
  readonly settled: boolean;
  want(names: Iterable<string>): void;
  giveUp(names: Iterable<string>): void;
  begin(welcome: unknown): void;
  requests(): object[];
  receive(message: unknown): { changes?: Record<string, ChangedFields>; refused: { name: string; code: number; text: string }[]; tokenRefused?: string };
}
