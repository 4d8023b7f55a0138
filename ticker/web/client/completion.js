/** The wait until the server has sent all that it has. */

/** @typedef {import("./errors.js").TickerError} TickerError */

export class Completion {
  #complete = false;
  #over = false;
  /** @type {TickerError | undefined} */
  #error;
  /** @type {{resolve: () => void, reject: (error: TickerError) => void}[]} */
  #waiting = [];

  /**
   * Wait; rejects with the error of the end, if it has one.
   * @returns {Promise<void>}
   */
  wait() {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (this.#complete || this.#over) this.#settle();
    });
  }

  /** The copy is incomplete again. */
  hold() {
    this.#complete = false;
  }

  release() {
    this.#complete = true;
    this.#settle();
  }

  /** @param {TickerError} [error] */
  end(error) {
    this.#over = true;
    this.#error = error;
    this.#settle();
  }

  #settle() {
    const error = this.#over ? this.#error : undefined;
    for (const { resolve, reject } of this.#waiting.splice(0)) error ? reject(error) : resolve();
  }
}
