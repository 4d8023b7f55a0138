/** Fields that left the copy, until they come again or are reported as withdrawn. */

import { plain } from "./messages.js";

/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./fields.js").Fields} Fields */

/**
 * These fields as withdrawn.
 * @param {Fields} fields
 * @returns {ChangedFields}
 */
export const withdrawn = (fields) =>
  plain(Object.keys(fields).map((name) => /** @type {[string, null]} */ ([name, null])));

export class VanishedFields {
  /** @type {Map<string, Readonly<Fields>>} */
  #fields = new Map();

  /** Number of instruments. */
  get size() {
    return this.#fields.size;
  }

  /**
   * Keep the last values of instruments that the copy no longer has.
   * @param {Iterable<[string, Readonly<Fields>]>} dropped by symbol
   */
  add(dropped) {
    for (const [symbol, fields] of dropped) this.#fields.set(symbol, fields);
  }

  /**
   * The changes of an instrument that perhaps came again, with the withdrawal of the fields that did not.
   * @param {string} symbol
   * @param {ChangedFields} changes
   * @returns {ChangedFields}
   */
  complete(symbol, changes) {
    const before = this.#fields.get(symbol);
    if (before) this.#fields.delete(symbol);
    return before ? Object.assign(withdrawn(before), changes) : changes;
  }

  /**
   * The withdrawal, by symbol, of the fields left of instruments that cannot come any more; undefined if none is.
   * @param {(symbol: string) => boolean} mayCome
   * @returns {Record<string, ChangedFields> | undefined}
   */
  takeWithdrawals(mayCome) {
    const gone = [...this.#fields].filter(([symbol]) => !mayCome(symbol));
    for (const [symbol] of gone) this.#fields.delete(symbol);
    if (gone.length === 0) return undefined;
    return plain(gone.map(([symbol, fields]) => /** @type {[string, ChangedFields]} */ ([symbol, withdrawn(fields)])));
  }
}
