/**
 * The names of a client, from the user's wish to the server's answer.
 *
 * A name goes from *wanted* to *requested* (on this connection) to *confirmed* (its reply came, so the copy is complete
 * for it). Only confirmed names are resumed on the next connection. *Doubtful* names are all others of which the copy may
 * hold something: those without a reply, and those given up since. A resume has the server remove what only they keep.
 */

import { Code } from "./errors.js";
import { isName } from "./symbols.js";
import { splitName } from "./tables.js";
import { excerpt } from "./texts.js";

/** @typedef {import("./messages.js").Outcome} Outcome */

/**
 * What a server would say of what is no name.
 * @param {string} name
 * @returns {Outcome}
 */
export function refusalOf(name) {
  const [symbol, table] = splitName(name);
  if (table && isName(symbol)) return { name, code: Code.UNKNOWN_TABLE, text: `there is no table ${excerpt(table)}` };
  return { name, code: Code.BAD_SYMBOL, text: "it is neither a symbol nor a pattern" };
}

export class Names {
  /**
   * Wanted names, each with the number of its subscriptions.
   * @type {Map<string, number>}
   */
  #wanted = new Map();
  /** @type {Set<string>} */
  #requested = new Set();
  /** @type {Set<string>} */
  #confirmed = new Set();
  /**
   * Names that the server refused.
   * @type {Set<string>}
   */
  #declined = new Set();
  /**
   * Names for which the server has answered on this connection, in whatever way.
   * @type {Set<string>}
   */
  #answered = new Set();
  /**
   * Names of requests that were refused whole on this connection.
   * @type {Set<string>}
   */
  #failed = new Set();
  /**
   * Names whose outcomes are awaited, by the request's id.
   * @type {Map<number, Set<string>>}
   */
  #awaited = new Map();
  /**
   * Names of requests without a reply, by the request's id: the same as were requested, or those given up.
   * @type {Map<number, Iterable<string>>}
   */
  #unanswered = new Map();
  /**
   * Doubtful names of earlier connections.
   * @type {Set<string>}
   */
  #doubtful = new Set();

  get wanted() {
    return [...this.#wanted.keys()];
  }

  get wanting() {
    return this.#wanted.size > 0;
  }

  get requested() {
    return [...this.#requested];
  }

  get declined() {
    return this.#declined;
  }

  /** Confirmed names that are still wanted: those that a resume can name. */
  get resumable() {
    return [...this.#confirmed].filter((name) => this.#wanted.has(name));
  }

  /** Whether the wanted names, and no others, were requested on this connection. */
  get current() {
    return this.#requested.size === this.#wanted.size && this.wanted.every((name) => this.#requested.has(name));
  }

  /** Names that the server keeps, which may be without an instrument so far. */
  get kept() {
    return this.wanted.filter(
      (name) => this.#answered.has(name) && !this.#declined.has(name) && !this.#failed.has(name),
    );
  }

  /** Wanted names for which the server has not answered on this connection. */
  get unanswered() {
    return this.wanted.filter((name) => !this.#answered.has(name));
  }

  /** @param {readonly string[]} names */
  hasAnswersFor(names) {
    return names.every((name) => this.#answered.has(name));
  }

  /** @param {Iterable<string>} names */
  want(names) {
    for (const name of names) this.#wanted.set(name, (this.#wanted.get(name) ?? 0) + 1);
  }

  /** @param {Iterable<string>} names */
  giveUp(names) {
    for (const name of names) {
      const count = (this.#wanted.get(name) ?? 0) - 1;
      if (count > 0) this.#wanted.set(name, count);
      else this.#wanted.delete(name);
    }
  }

  /** Names that a resume has the server forget. What no server takes for a name has brought nothing. */
  get forgotten() {
    const resumed = new Set(this.resumable);
    const doubtful = new Set([...this.#doubtful, ...this.#confirmed]);
    for (const names of this.#unanswered.values()) for (const name of names) doubtful.add(name);
    return [...doubtful].filter((name) => !resumed.has(name) && isName(name));
  }

  /**
   * Begin a connection that resumes these names, and has the server forget those; without any, the copy is empty.
   * @param {string[]} resumed
   * @param {string[]} forgotten
   */
  begin(resumed, forgotten) {
    this.#confirmed = new Set(resumed);
    this.#requested = new Set(resumed);
    this.#doubtful = new Set(forgotten);
    for (const names of [this.#awaited, this.#unanswered, this.#answered, this.#failed]) names.clear();
  }

  /**
   * Names that cannot be asked for.
   * @param {string[]} names
   */
  decline(names) {
    for (const name of names) this.#declined.add(name);
  }

  /** Forget which names the server refused: they are asked for again. */
  clearDeclined() {
    this.#declined.clear();
  }

  /**
   * These names count as requested, or have their answer without a request.
   * @param {string[]} names
   * @param {string[]} answered
   */
  beginStream(names, answered) {
    this.#requested = new Set(names);
    for (const name of answered) this.#answered.add(name);
  }

  /** Bring the requested names in line with the wanted ones. Returns the names to give up and to request. */
  change() {
    const dropped = [...this.#requested].filter((name) => !this.#wanted.has(name));
    const added = this.wanted.filter((name) => !this.#requested.has(name));
    for (const name of added) {
      this.#declined.delete(name); // the new outcome counts
      this.#answered.delete(name);
      this.#requested.add(name);
    }
    for (const names of [this.#requested, this.#confirmed, this.#answered, this.#failed, ...this.#awaited.values()]) {
      for (const name of dropped) names.delete(name);
    }
    return { dropped, added };
  }

  /**
   * A request for names was sent; without `adds`, to give them up.
   * @param {number} id
   * @param {string[]} names
   * @param {boolean} adds
   */
  expect(id, names, adds) {
    this.#unanswered.set(id, names);
    this.#awaited.set(id, new Set(adds ? names : []));
  }

  /** The server has forgotten what was doubtful before this connection. */
  resumed() {
    this.#doubtful.clear();
  }

  /**
   * A request was answered: the copy is complete for its names, but for those that were declined. Returns the outcomes
   * other than `ok` of names that are still of interest.
   * @param {number} id
   * @param {Outcome[]} outcomes
   */
  answer(id, outcomes) {
    const names = this.#taken(id);
    // Names that the user gave up meanwhile, or never asked for, are not worth a word, nor any memory.
    const refused = outcomes.filter(({ name, code }) => code !== Code.OK && names.has(name));
    for (const name of names) this.#answered.add(name), this.#confirmed.add(name);
    for (const { name, code } of refused) {
      if (code === Code.UNKNOWN_SYMBOL) continue; // it stays subscribed, and joins when it appears
      this.#declined.add(name);
      this.#confirmed.delete(name);
    }
    return refused;
  }

  /**
   * A request was refused whole. Returns its names.
   * @param {number} id
   */
  fail(id) {
    const names = [...this.#taken(id)];
    for (const name of names) this.#failed.add(name), this.#answered.add(name);
    return names;
  }

  /**
   * The resume with this id was refused: nothing of the copy is left, and its names are requested anew.
   * @param {number} id
   */
  failResume(id) {
    for (const name of this.#taken(id)) this.#requested.delete(name);
    this.#doubtful.clear();
    this.#confirmed.clear();
    this.#answered.clear();
  }

  /** @param {number} id */
  #taken(id) {
    const names = this.#awaited.get(id) ?? new Set();
    this.#awaited.delete(id);
    this.#unanswered.delete(id);
    return names;
  }
}
