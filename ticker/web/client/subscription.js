/** A subscription: changes of its names, for listeners as they come and for iterators merged while these are busy. */

import { Completion } from "./completion.js";
import { TypedEventTarget, changeOf, eventOf } from "./events.js";
import { Iterators } from "./iterators.js";
import { plain } from "./messages.js";
import { Pending, isEmpty } from "./pending.js";
import { matcherOf } from "./symbols.js";

/** @typedef {import("./errors.js").TickerError} TickerError */
/** @typedef {import("./events.js").Change} Change */
/** @typedef {import("./events.js").ChangeEvent} ChangeEvent */
/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./replica.js").Replica} Replica */
/** @typedef {import("./wanted.js").FieldSet} FieldSet */
/** @typedef {{change: ChangeEvent}} SubscriptionEvents */
/** @typedef {Record<string, ChangedFields>} Changes */

/** @type {Changes} */
const NOTHING = Object.freeze(Object.create(null));

/**
 * Iterate over it, or listen to `change`. An iterator gets the present values first and then the changes, merged while
 * it is busy. Leaving a loop does not close the subscription: a later loop goes on.
 *
 * It is *held* until the server has answered for each of its names, and again when a new connection begins: earlier
 * changes are a part of a moment only.
 * @extends {TypedEventTarget<SubscriptionEvents>}
 */
export class Subscription extends TypedEventTarget {
  #matches;
  #shown;
  #copy;
  #closed;
  /**
   * Matching symbols, as far as they were tested.
   * @type {Map<string, boolean>}
   */
  #known = new Map();
  /** Changes for the listeners; they wait only while the subscription is held. */
  #listeners;
  /**
   * Changes that no iterator took yet; undefined before the first iteration, which begins with the present values.
   * @type {Pending | undefined}
   */
  #pending;
  /** @type {Iterators<Change>} */
  #iterators = new Iterators(() => this.#take());
  #held;
  #completion = new Completion();

  /**
   * @param {string[]} names
   * @param {Replica} copy
   * @param {boolean} held
   * @param {(subscription: Subscription) => void} closed called when the user closes it
   * @param {FieldSet} [fields]
   */
  constructor(names, copy, held, closed, fields) {
    super();
    /** @type {readonly string[]} */
    this.names = names;
    /**
     * The fields that it wants of instruments; undefined for all.
     * @internal
     * @readonly
     */
    this.fields = fields;
    this.#shown = fields === undefined ? undefined : new Set([...fields.split(","), "status", "reason"]);
    this.#matches = matcherOf(names);
    this.#copy = copy;
    this.#closed = closed;
    this.#held = held;
    this.#listeners = this.#presentChanges();
    if (!held) this.#completion.release();
    // The caller adds its listeners first.
    if (!held) queueMicrotask(() => this.#iterators.over || this.#dispatch());
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /**
   * The next change; done when the subscription or the client was closed. Rejects with a TickerError if the client gave up.
   * @returns {Promise<IteratorResult<Change, undefined>>}
   */
  next() {
    this.#pending ??= this.#iterators.over ? new Pending(this.#copy) : this.#presentChanges();
    return this.#iterators.next();
  }

  /** Wait until the service has sent all that it has. Rejects with a TickerError if the client gives up. */
  complete() {
    return this.#completion.wait();
  }

  /**
   * The present values, by name.
   * @internal
   */
  get present() {
    const values = Object.entries(this.#copy.values((name) => this.#isMatch(name)));
    return plain(values.map(([name, fields]) => [name, name.includes(" ") ? fields : Object.freeze(this.#selected(fields))]));
  }

  /** Unsubscribe; changes that no iterator took yet are dropped. */
  close() {
    if (this.#iterators.over) return;
    this.#pending = undefined;
    this.end();
    this.#closed(this);
  }

  /**
   * Deliver changes of the market, as far as they match.
   * @internal
   * @param {Changes} changes of instruments
   * @param {string[]} tables names of those that changed
   */
  take(changes, tables) {
    // Nobody listens, as where the client's own events are used: what comes is of interest to nobody, now or later.
    const heard = this.#held || this.#pending || this.hasListened("change");
    const matching = heard ? this.#matching(changes) : NOTHING;
    const matchingTables = tables.filter((name) => this.#isMatch(name));
    if (isEmpty(matching) && matchingTables.length === 0) return;
    this.#listeners.add(matching, matchingTables);
    this.#pending?.add(matching, matchingTables);
    if (!this.#held) this.#give();
  }

  /**
   * The changes of its names and fields: the same object, if these are all.
   * @param {Changes} changes
   */
  #matching(changes) {
    let all = this.#shown === undefined;
    for (const symbol in changes) if (!this.#isMatch(symbol)) all = false;
    if (all) return changes;
    /** @type {Changes} */
    const matching = Object.create(null);
    for (const symbol in changes) {
      if (!this.#isMatch(symbol)) continue;
      const fields = this.#selected(changes[symbol]);
      if (!isEmpty(fields)) matching[symbol] = fields;
    }
    return matching;
  }

  /**
   * Whether changes wait for the rest of their moment.
   * @internal
   */
  get held() {
    return this.#held;
  }

  /**
   * Keep changes back: those of a new connection come in parts.
   * @internal
   */
  hold() {
    this.#held = true;
    this.#completion.hold();
  }

  /**
   * The connection is lost. Values stay as they are.
   * @internal
   */
  lose() {}

  /**
   * Give changes again: with those that were kept back the copy is complete.
   * @internal
   */
  release() {
    this.#held = false;
    for (const each of [this.#listeners, this.#pending]) each?.doubtTables();
    this.#completion.release();
    this.#give();
  }

  #give() {
    this.#dispatch();
    this.#iterators.deliver();
  }

  #dispatch() {
    const changes = this.#listeners.take();
    if (changes) this.dispatchEvent(eventOf("change", { change: changeOf(this.#copy, changes) }));
  }

  /**
   * End the iterators after the pending changes, with an error if there is one. A part of a moment is dropped.
   * @internal
   * @param {TickerError} [error]
   */
  end(error) {
    if (this.#held) this.#pending?.clear();
    this.#held = false;
    this.#iterators.end(error);
    this.#completion.end(error);
  }

  /** @param {string} symbol */
  #isMatch(symbol) {
    let known = this.#known.get(symbol);
    if (known === undefined) this.#known.set(symbol, (known = this.#matches(symbol)));
    return known;
  }

  /**
   * Those of these fields that it has.
   * @template {object} Values
   * @param {Values} fields
   * @returns {Values}
   */
  #selected(fields) {
    const shown = this.#shown;
    if (!shown) return fields;
    return /** @type {Values} */ (plain(Object.entries(fields).filter(([name]) => shown.has(name))));
  }

  /** The present values, as changes for a reader that knows nothing yet. */
  #presentChanges() {
    const states = this.#copy.records.filter(({ definition }) => this.#isMatch(definition.symbol));
    const instruments = states.filter(({ rows }) => !rows);
    const tables = states.filter(({ rows }) => rows);
    const pending = new Pending(this.#copy);
    pending.add(
      plain(instruments.map((each) => /** @type {[string, ChangedFields]} */ ([each.definition.symbol, this.#selected(each.present())]))),
      tables.map(({ definition }) => definition.symbol),
    );
    return pending;
  }

  #take() {
    if (this.#held || !this.#pending || this.#pending.isEmpty) return undefined;
    const changes = this.#pending.take();
    return changes && changeOf(this.#copy, changes);
  }
}
