/**
 * Changes that one reader has not taken yet. It is bounded by the copy: fields are merged, and of each table only the
 * moment is kept that the reader saw last.
 *
 * Changes are given on as they are, without a copy, to readers that are not busy: the same objects for all of them. Only
 * where some wait already are they put together, in new objects.
 */

import { bare } from "./messages.js";
import { tableChanges } from "./table_changes.js";

/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./replica.js").Replica} Replica */
/** @typedef {Record<string, ChangedFields>} Changes */

export class Pending {
  #copy;
  /**
   * Changes of instruments; undefined if there are none.
   * @type {Changes | undefined}
   */
  #changes;
  /** Whether that object is this reader's own, so that it may be changed. */
  #own = false;
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
    return this.#tables.size === 0 && this.#changes === undefined;
  }

  /**
   * @param {Changes} changes of instruments, which stay as they are
   * @param {Iterable<string>} tables names of those that perhaps changed
   */
  add(changes, tables) {
    if (this.#changes === undefined) this.#changes = isEmpty(changes) ? undefined : changes;
    else {
      const merged = this.#owned();
      for (const symbol in changes) {
        const before = merged[symbol];
        merged[symbol] = before ? Object.assign(bare(), before, changes[symbol]) : changes[symbol];
      }
    }
    for (const name of tables) this.#tables.add(name);
  }

  /** The changes in an object of this reader's own. */
  #owned() {
    /** @type {Changes} */
    const changes = this.#own && this.#changes ? this.#changes : Object.assign(Object.create(null), this.#changes);
    this.#own = true;
    return (this.#changes = changes);
  }

  /** All tables that the reader knows may have changed, and may be gone. */
  doubtTables() {
    for (const name of this.#seen.keys()) this.#tables.add(name);
  }

  /** Take all changes; undefined if there are none. */
  take() {
    for (const name of this.#tables) {
      const now = this.#copy.find(name)?.present();
      const changed = tableChanges(this.#seen.get(name), now);
      if (now) this.#seen.set(name, now);
      else this.#seen.delete(name);
      if (!isEmpty(changed)) this.#owned()[name] = changed;
    }
    const changes = this.#changes;
    this.clear();
    return changes;
  }

  /** Drop all changes. */
  clear() {
    this.#changes = undefined;
    this.#own = false;
    if (this.#tables.size > 0) this.#tables = new Set();
  }
}

/** @param {object} object without inherited properties */
export function isEmpty(object) {
  for (const _ in object) return false;
  return true;
}
