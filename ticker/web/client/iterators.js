/** Iterators of one source: those that wait, in order, and the end for all of them. */

/** @typedef {import("./errors.js").TickerError} TickerError */

/** @template Item */
export class Iterators {
  /** @type {{resolve: (result: IteratorResult<Item, undefined>) => void, reject: (error: TickerError) => void}[]} */
  #waiting = [];
  #take;
  /** @type {TickerError | undefined} */
  #error;

  over = false;

  /** @param {() => Item | undefined} take takes the next item; undefined while there is none */
  constructor(take) {
    this.#take = take;
  }

  /**
   * The next item, once there is one.
   * @returns {Promise<IteratorResult<Item, undefined>>}
   */
  next() {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.deliver();
    });
  }

  /** Give items to those that wait; after the end there are no new ones. */
  deliver() {
    while (this.#waiting.length > 0) {
      const item = this.#take();
      if (item === undefined && !this.over) return;
      const iterator = this.#waiting.shift();
      if (item !== undefined) iterator?.resolve({ value: item, done: false });
      else if (this.#error) iterator?.reject(this.#error);
      else iterator?.resolve({ value: undefined, done: true });
    }
  }

  /**
   * End after the items that are there, with an error if there is one.
   * @param {TickerError} [error]
   */
  end(error) {
    this.over = true;
    this.#error = error;
    this.deliver();
  }
}
