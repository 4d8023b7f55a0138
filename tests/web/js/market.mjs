// For tests of the client's state machine: a session that is fed with messages in JSON, and the readers of its tables.

import { ClientSession, decode } from "../../../ticker/web/ticker.js";
import { Book } from "../../../ticker/web/client/book.js";
import { Candles } from "../../../ticker/web/client/candles.js";
import { Readers } from "../../../ticker/web/client/readers.js";
import { Subscription } from "../../../ticker/web/client/subscription.js";
import { Trades } from "../../../ticker/web/client/trades.js";

export const FEATURES = {
  book: [10, 25, 100],
  trades: [5, 10, 50],
  candles: { periods: ["1m", "1h", "1d"], rows: [3, 10, 300] },
  digest: true,
};
export const SECOND = 1_000_000;

export const plain = (value) => JSON.parse(JSON.stringify(value));

export const welcome = ({ epoch = "e", cut = 5, time = cut, limits = {}, features = FEATURES } = {}) =>
  decode(JSON.stringify([1, 1, epoch, "session", cut, time, 10_000, limits, features]));

export class Market {
  session = new ClientSession();
  readers = new Readers(this.session);
  /** Names of the tables that the last message touched. */
  touched = [];

  /** A connection begins. */
  begin(more) {
    this.session.begin(welcome(more));
    this.readers.connected();
    return this.session.requests();
  }

  /** One message of the server, as the elements of its array. */
  take(...elements) {
    const received = this.session.receive(decode(JSON.stringify(elements)));
    this.touched = received.tables;
    this.readers.take(received.changes ?? {}, received.tables);
    if (received.refused.length > 0) this.readers.refused(received.refused);
    if (received.answered) this.readers.answered();
    return received;
  }

  define(id, name, priceScale = 2, sizeScale = 0) {
    return this.take(4, [[id, name, priceScale, sizeScale, {}]]);
  }

  delta(cut, ...changes) {
    return this.take(6, this.session.replica.cursor, cut, cut, changes);
  }

  /** Complete records at the present cut. */
  records(...records) {
    const { cursor, time } = this.session.replica;
    return this.take(5, cursor, cursor, time, [], records);
  }

  /** All requests are answered with these codes by name; else they are served. */
  answer(codes = {}) {
    for (const { id, symbols = [] } of this.session.requests()) {
      this.take(2, id, { outcomes: symbols.map((name) => [name, codes[name] ?? 0, codes[name] ? "no" : ""]) });
    }
  }

  subscribe(...names) {
    return this.read(new Subscription(names, this.session.replica, true, (closed) => this.readers.remove(closed)));
  }

  book(symbol, depth) {
    return this.read(new Book(this.session.replica, symbol, depth, (closed) => this.readers.remove(closed)));
  }

  trades(symbol, count) {
    return this.read(new Trades(this.session.replica, symbol, count, (closed) => this.readers.remove(closed)));
  }

  candles(symbol, period, count, fill = false) {
    return this.read(new Candles(this.session.replica, symbol, period, count, fill, (closed) => this.readers.remove(closed)));
  }

  read(reader) {
    if (reader.choose && this.session.features) reader.choose(this.session.features);
    this.readers.add(reader);
    return reader;
  }
}

/** The events `change` of a reader, as they come. */
export function changesOf(reader) {
  const events = [];
  reader.addEventListener("change", (event) => events.push(event));
  return events;
}

/** What readers were asked for and have not given yet. */
const asked = new WeakMap();
const NOTHING = Symbol("nothing");

/** All that an iterator gives without waiting. */
export async function taken(reader) {
  const items = [];
  for (;;) {
    const next = asked.get(reader) ?? reader.next();
    asked.set(reader, next);
    const item = await Promise.race([next, new Promise((resolve) => setTimeout(resolve, 0, NOTHING))]);
    if (item === NOTHING) return items;
    asked.delete(reader);
    if (item.done) return items;
    items.push(item.value);
  }
}

/** So many items that are there: unlike `taken`, it leaves nobody behind who waits for the next one. */
export async function some(reader, count) {
  const items = [];
  while (items.length < count) items.push((await reader.next()).value);
  return items;
}
