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
 * Merge changes into earlier ones, which are returned.
 * @param {Changes} earlier
 * @param {Changes} changes
 */
function merged(earlier, changes) {
  for (const symbol in changes) Object.assign((earlier[symbol] ??= Object.create(null)), changes[symbol]);
  return earlier;
}

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
  /**
   * Changes of the moment of which a part has come; undefined while the subscription is not held.
   * @type {Changes | undefined}
   */
  #held;
  #over = false;
  /** @type {TickerError | undefined} */
  #error;

  /**
   * @param {string[]} names
   * @param {Replica} copy
   * @param {boolean} held
   * @param {(subscription: Subscription) => void} closed called when the user closes it
   */
  constructor(names, copy, held, closed) {
    super();
    /** @type {readonly string[]} */
    this.names = names;
    this.#matches = matcherOf(names);
    this.#copy = copy;
    this.#closed = closed;
    const present = merged(Object.create(null), this.#present());
    if (held) this.#held = present;
    // The caller adds its listeners first.
    else if (!isEmpty(present)) queueMicrotask(() => this.#over || this.#dispatch(present));
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
      if (this.#held) merged(this.#held, this.#present());
      else if (!this.#over) this.#merge(this.#present());
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
    if (this.#held) merged(this.#held, matching);
    else this.#give(matching);
  }

  /**
   * Whether changes wait for the rest of their moment.
   * @internal
   */
  get held() {
    return this.#held !== undefined;
  }

  /**
   * Keep changes back: those of a new connection come in parts.
   * @internal
   */
  hold() {
    this.#held ??= Object.create(null);
  }

  /**
   * Give changes again: with those that were kept back the copy is complete.
   * @internal
   */
  release() {
    const changes = this.#held ?? {};
    this.#held = undefined;
    if (!isEmpty(changes)) this.#give(changes);
    else this.#deliver();
  }

  /** @param {Changes} changes */
  #give(changes) {
    if (this.#pending) this.#merge(changes);
    this.#dispatch(changes);
    this.#deliver();
  }

  /** @param {Changes} changes */
  #dispatch(changes) {
    this.dispatchEvent(eventOf("change", { change: changeOf(this.#copy, changes) }));
  }

  /**
   * End the iterators after the pending changes, with an error if there is one. A part of a moment is dropped.
   * @internal
   * @param {TickerError} [error]
   */
  end(error) {
    this.#over = true;
    this.#error = error;
    if (this.#held && this.#pending) this.#pending = Object.create(null);
    this.#held = undefined;
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
    this.#pending = merged(this.#pending ?? Object.create(null), changes);
  }

  #deliver() {
    for (; !this.#held; ) {
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
