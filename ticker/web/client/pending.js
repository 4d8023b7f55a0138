/**
 * Changes that one reader has not taken yet. It is bounded by the copy: fields are merged, and of each table only the
 * moment is kept that the reader saw last.
 */

import { plain } from "./messages.js";
import { tableChanges } from "./table_changes.js";

/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./replica.js").Replica} Replica */
/** @typedef {Record<string, ChangedFields>} Changes */

export class Pending {
  #copy;
  /** @type {Changes} */
  #changes = Object.create(null);
  /** @type {Set<string>} */
  #tables = new Set();
  /**
   * Tables at the moment that the reader saw last.
   * @type {Map<string, Readonly<Fields>>}
   */
  #seen = new Map();

  /** @param {Replica} copy */
  constructor(copy) {
    this.#copy = copy;
  }

  get isEmpty() {
    return this.#tables.size === 0 && Object.keys(this.#changes).length === 0;
  }

  /**
   * @param {Changes} changes of instruments
   * @param {Iterable<string>} tables names of those that perhaps changed
   */
  add(changes, tables) {
    for (const symbol in changes) Object.assign((this.#changes[symbol] ??= Object.create(null)), changes[symbol]);
    for (const name of tables) this.#tables.add(name);
  }

  /** All tables that the reader knows may have changed, and may be gone. */
  doubtTables() {
    for (const name of this.#seen.keys()) this.#tables.add(name);
  }

  /** Take all changes. */
  take() {
    const changes = this.#changes;
    for (const name of this.#tables) {
      const now = this.#copy.find(name)?.present();
      const changed = tableChanges(this.#seen.get(name), now);
      if (now) this.#seen.set(name, now);
      else this.#seen.delete(name);
      if (Object.keys(changed).length > 0) changes[name] = changed;
    }
    this.clear();
    return changes;
  }

  /** Drop all changes. */
  clear() {
    this.#changes = plain([]);
    this.#tables = new Set();
  }
}
