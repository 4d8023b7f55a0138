/**
 * The names of a client, from the user's wish to the server's answer.
 *
 * A name goes from *wanted* to *requested* (on this connection) to *confirmed* (its reply came, so the copy is complete
 * for it). Only confirmed names are resumed on the next connection. *Doubtful* names are all others of which the copy may
 * hold something: those without a reply, and those given up since. A resume has the server remove what only they keep.
 * A name of which other fields are wanted is requested again; until the reply nobody can tell which the copy has.
 */

import { Code } from "./errors.js";
import { isName } from "./symbols.js";
import { splitName } from "./tables.js";
import { excerpt } from "./texts.js";
import { WantedNames, covers } from "./wanted.js";

/** @typedef {import("./messages.js").Outcome} Outcome */
/** @typedef {import("./wanted.js").FieldSet} FieldSet */

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

/**
 * These fields, if a name stands for instruments: tables come whole.
 * @param {string} name
 * @param {FieldSet} fields
 */
export const ofInstruments = (name, fields) => (name.includes(" ") ? undefined : fields);

export class Names {
  #wanted = new WantedNames();
  /** How many different sets of fields may be asked for; -1: one for all names together. */
  #sets = 0;
  /** @type {Map<string, FieldSet>} */
  #requested = new Map();
  /** @type {Map<string, FieldSet>} */
  #confirmed = new Map();
  /**
   * Names without a reply that the server had before, with other fields.
   * @type {Set<string>}
   */
  #altered = new Set();
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
    return this.#wanted.names;
  }

  get wanting() {
    return this.#wanted.size > 0;
  }

  get requested() {
    return [...this.#requested.keys()];
  }

  /**
   * The fields that are asked for of a requested or confirmed name.
   * @param {string} name
   */
  fieldsOf(name) {
    return this.#requested.get(name) ?? this.#confirmed.get(name);
  }

  /** The fields to ask for, by name. */
  get #target() {
    if (this.#sets >= 0) return this.#wanted.byName(this.#sets);
    const { together } = this.#wanted;
    return new Map(this.wanted.map((name) => [name, ofInstruments(name, together)]));
  }

  /** The fields that all names want together. */
  get together() {
    return this.#wanted.together;
  }

  get declined() {
    return this.#declined;
  }

  /** Confirmed names that are still wanted: those that a resume can name. */
  get resumable() {
    return [...this.#confirmed.keys()].filter((name) => this.#wanted.has(name));
  }

  /** Whether the wanted names, and no others, were requested on this connection, with the wanted fields. */
  get current() {
    if (this.#requested.size !== this.#wanted.size) return false;
    const target = this.#target;
    return this.wanted.every((name) => this.#requested.has(name) && this.#requested.get(name) === target.get(name));
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

  /**
   * @param {readonly string[]} names
   * @param {FieldSet} fields
   */
  hasAnswersFor(names, fields) {
    return names.every((name) => this.#answered.has(name) && covers(this.#requested.get(name), fields));
  }

  /**
   * @param {Iterable<string>} names
   * @param {FieldSet} fields
   */
  want(names, fields) {
    this.#wanted.add(names, fields);
  }

  /**
   * @param {Iterable<string>} names
   * @param {FieldSet} fields
   */
  giveUp(names, fields) {
    this.#wanted.remove(names, fields);
  }

  /** Names that a resume has the server forget. What no server takes for a name has brought nothing. */
  get forgotten() {
    const resumed = new Set(this.resumable);
    const doubtful = new Set([...this.#doubtful, ...this.#confirmed.keys()]);
    for (const names of this.#unanswered.values()) for (const name of names) doubtful.add(name);
    return [...doubtful].filter((name) => !resumed.has(name) && isName(name));
  }

  /**
   * Begin a connection that resumes these names, and has the server forget those; without any, the copy is empty. It takes
   * so many sets of fields.
   * @param {string[]} resumed
   * @param {string[]} forgotten
   * @param {number} sets
   */
  begin(resumed, forgotten, sets) {
    this.#confirmed = new Map(resumed.map((name) => [name, this.#confirmed.get(name)]));
    this.#requested = new Map(this.#confirmed);
    this.#doubtful = new Set(forgotten);
    this.#sets = sets;
    for (const names of [this.#awaited, this.#unanswered, this.#answered, this.#failed, this.#altered]) names.clear();
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
   * These names count as requested, with these fields, or have their answer without a request.
   * @param {string[]} names
   * @param {string[]} answered
   * @param {FieldSet} fields
   */
  beginStream(names, answered, fields) {
    this.#requested = new Map(names.map((name) => [name, ofInstruments(name, fields)]));
    for (const name of answered) this.#answered.add(name);
  }

  /** Bring the requested names in line with the wanted ones. Returns the names to give up and to request. */
  change() {
    const target = this.#target;
    const dropped = this.requested.filter((name) => !target.has(name));
    const altered = this.requested.filter((name) => target.has(name) && target.get(name) !== this.#requested.get(name));
    const added = [...altered, ...this.wanted.filter((name) => !this.#requested.has(name))];
    for (const names of [this.#requested, this.#confirmed, this.#answered, this.#failed, ...this.#awaited.values()]) {
      for (const name of [...dropped, ...altered]) names.delete(name);
    }
    for (const name of added) {
      this.#declined.delete(name); // the new outcome counts
      this.#answered.delete(name);
      this.#requested.set(name, target.get(name));
    }
    for (const name of dropped) this.#altered.delete(name);
    for (const name of altered) this.#altered.add(name);
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
    for (const name of names) {
      this.#answered.add(name);
      this.#altered.delete(name);
      this.#confirmed.set(name, this.#requested.get(name));
    }
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
    for (const name of names) {
      this.#failed.add(name);
      this.#answered.add(name);
      if (this.#altered.has(name)) this.#doubtful.add(name); // the copy has it, with the former fields
    }
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
