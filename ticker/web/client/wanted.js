/**
 * The names that a user wants, each with the fields that are wanted of it.
 *
 * A set of fields is its names in order, with commas between them; undefined are all fields. One name may be wanted several
 * times, with other fields each time: the union of them is asked for. Different names that match one instrument are put
 * together by the server.
 */

/** @typedef {string | undefined} FieldSet */

/** @param {Iterable<string>} fields @returns {string} */
export const fieldSet = (fields) => [...new Set(fields)].sort().join(",");

/**
 * Whether these fields have all that are wanted.
 * @param {FieldSet} fields
 * @param {FieldSet} wanted
 */
export function covers(fields, wanted) {
  if (fields === undefined || fields === wanted) return true;
  return wanted !== undefined && wanted.split(",").every((each) => fields.split(",").includes(each));
}

export class WantedNames {
  /**
   * How often each name is wanted.
   * @type {Map<string, number>}
   */
  #counts = new Map();
  /**
   * By name: how often only these fields of it are wanted.
   * @type {Map<string, Map<string, number>>}
   */
  #selected = new Map();

  get names() {
    return [...this.#counts.keys()];
  }

  get size() {
    return this.#counts.size;
  }

  /** @param {string} name */
  has(name) {
    return this.#counts.has(name);
  }

  /**
   * Want names once more each, with these fields.
   * @param {Iterable<string>} names
   * @param {FieldSet} fields
   */
  add(names, fields) {
    for (const name of names) {
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
      if (fields === undefined) continue;
      const selected = this.#selected.get(name) ?? new Map();
      this.#selected.set(name, selected.set(fields, (selected.get(fields) ?? 0) + 1));
    }
  }

  /**
   * Take an `add` back.
   * @param {Iterable<string>} names
   * @param {FieldSet} fields
   */
  remove(names, fields) {
    for (const name of names) {
      decrease(this.#counts, name);
      const selected = fields === undefined ? undefined : this.#selected.get(name);
      if (!selected || fields === undefined) continue;
      decrease(selected, fields);
      if (selected.size === 0) this.#selected.delete(name);
    }
  }

  /**
   * The fields to ask for by name: at most so many different sets of fields; names beyond have all.
   * @param {number} most
   * @returns {Map<string, FieldSet>}
   */
  byName(most) {
    /** @type {Map<string, FieldSet>} */
    const wanted = new Map(this.names.map((name) => [name, undefined]));
    const known = new Set();
    for (const name of most > 0 ? this.#selected.keys() : []) {
      const fields = this.#fieldsOf(name);
      if (fields === undefined || (!known.has(fields) && known.size >= most)) continue;
      known.add(fields);
      wanted.set(name, fields);
    }
    return wanted;
  }

  /** The fields that all names want together. */
  get together() {
    const instruments = this.names.filter((name) => !name.includes(" "));
    const sets = instruments.map((name) => this.#fieldsOf(name));
    return sets.length === 0 || sets.includes(undefined) ? undefined : fieldSet(sets.join(",").split(","));
  }

  /** @param {string} name @returns {FieldSet} */
  #fieldsOf(name) {
    const selected = this.#selected.get(name);
    if (!selected || name.includes(" ")) return undefined; // a table comes whole
    const times = [...selected.values()].reduce((sum, each) => sum + each, 0);
    if ((this.#counts.get(name) ?? 0) > times) return undefined; // all fields are wanted as well
    return fieldSet([...selected.keys()].join(",").split(","));
  }
}

/**
 * Count one less, down to nothing.
 * @param {Map<string, number>} counts
 * @param {string} key
 */
function decrease(counts, key) {
  const count = (counts.get(key) ?? 0) - 1;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
