/** The user's tokens: the present one, and fresh ones. */

/** @typedef {import("./options.js").Token} Token */

export class Tokens {
  #source;
  /**
   * A token that came before its connection.
   * @type {string | undefined}
   */
  #next;

  /**
   * The token of the last connection.
   * @type {string | undefined}
   */
  last;

  /** @param {Token | undefined} source */
  constructor(source) {
    this.#source = source;
  }

  /** Whether fresh tokens can be had. */
  get renewable() {
    return typeof this.#source === "function";
  }

  async fresh() {
    return typeof this.#source === "function" ? this.#source() : this.#source;
  }

  /** The token for a new connection. */
  async forConnection() {
    this.last = this.#next ?? (await this.fresh());
    this.#next = undefined;
    return this.last;
  }

  /**
   * Keep a token for the next connection.
   * @param {string} token
   */
  keep(token) {
    this.#next = token;
  }
}
