/** A subscription: changes of its names, for listeners as they come and for iterators merged while these are busy. */

import { TypedEventTarget, changeOf, eventOf } from "./events.js";
import { plain } from "./messages.js";
import { matcherOf } from "./symbols.js";

/** @typedef {import("./errors.js").TickerError} TickerError */
/** @typedef {import("./events.js").Change} Change */
/** @typedef {import("./events.js").ChangeEvent} ChangeEvent */
/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./replica.js").Replica} Replica */
/** @typedef {{change: ChangeEvent}} SubscriptionEvents */
/** @typedef {Record<string, ChangedFields>} Changes */
/** @typedef {IteratorResult<Change, undefined>} Result */

/** @param {Changes} changes */
const isEmpty = (changes) => Object.keys(changes).length === 0;

/**
 * Iterate over it, or listen to `change`. An iterator gets the present values first and then the changes, merged while
 * it is busy. Leaving a loop does not close the subscription: a later loop goes on.
 * @extends {TypedEventTarget<SubscriptionEvents>}
 */
export class Subscription extends TypedEventTarget {
  #matches;
  #copy;
  #closed;
  /**
   * Matching symbols, as far as they were tested.
   * @type {Map<string, boolean>}
   */
  #known = new Map();
  /**
   * Changes that no iterator took yet; undefined before the first iteration, which begins with the present values.
   * @type {Changes | undefined}
   */
  #pending;
  /** @type {{resolve: (result: Result) => void, reject: (error: TickerError) => void}[]} */
  #waiting = [];
  #over = false;
  /** @type {TickerError | undefined} */
  #error;

  /**
   * @param {string[]} names
   * @param {Replica} copy
   * @param {(subscription: Subscription) => void} closed called when the user closes it
   */
  constructor(names, copy, closed) {
    super();
    /** @type {readonly string[]} */
    this.names = names;
    this.#matches = matcherOf(names);
    this.#copy = copy;
    this.#closed = closed;
    const present = this.#present();
    if (isEmpty(present)) return;
    // The caller adds its listeners first.
    queueMicrotask(() => this.#over || this.dispatchEvent(eventOf("change", { change: changeOf(copy, present) })));
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /**
   * The next change; done when the subscription or the client was closed. Rejects with a TickerError if the client gave up.
   * @returns {Promise<Result>}
   */
  next() {
    if (!this.#pending) {
      this.#pending = Object.create(null);
      if (!this.#over) this.#merge(this.#present());
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#deliver();
    });
  }

  /** Unsubscribe; changes that no iterator took yet are dropped. */
  close() {
    if (this.#over) return;
    this.#pending = undefined;
    this.end();
    this.#closed(this);
  }

  /**
   * Deliver changes of the market, as far as they match.
   * @internal
   * @param {Changes} changes
   */
  take(changes) {
    const matching = plain(Object.entries(changes).filter(([symbol]) => this.#isMatch(symbol)));
    if (isEmpty(matching)) return;
    if (this.#pending) this.#merge(matching);
    this.dispatchEvent(eventOf("change", { change: changeOf(this.#copy, matching) }));
    this.#deliver();
  }

  /**
   * End the iterators after the pending changes, with an error if there is one.
   * @internal
   * @param {TickerError} [error]
   */
  end(error) {
    this.#over = true;
    this.#error = error;
    this.#deliver();
  }

  /** @param {string} symbol */
  #isMatch(symbol) {
    let known = this.#known.get(symbol);
    if (known === undefined) this.#known.set(symbol, (known = this.#matches(symbol)));
    return known;
  }

  #present() {
    return this.#copy.values((symbol) => this.#isMatch(symbol));
  }

  /** @param {Changes} changes */
  #merge(changes) {
    const pending = (this.#pending ??= Object.create(null));
    for (const symbol in changes) Object.assign((pending[symbol] ??= Object.create(null)), changes[symbol]);
  }

  #deliver() {
    for (;;) {
      const changes = this.#pending ?? {};
      const some = !isEmpty(changes);
      if (!some && !this.#over) return;
      const iterator = this.#waiting.shift();
      if (!iterator) return;
      if (some) this.#pending = Object.create(null);
      if (some) iterator.resolve({ value: changeOf(this.#copy, changes), done: false });
      else if (this.#error) iterator.reject(this.#error);
      else iterator.resolve({ value: undefined, done: true });
    }
  }
}
