/**
 * The rows of a log that a reader has been given, and what it is owed since: each row once, and again when it changes.
 *
 * As the server does it for its clients, what a reader is owed is computed when it takes it, and never queued. So a slow
 * reader costs a copy of the table, however much has happened meanwhile.
 */

/** @typedef {import("./rows.js").Bar} Bar */
/** @typedef {import("./rows.js").Print} Print */

/**
 * A row that a reader is owed: with the keys missing between the highest one given before and this one, whether it changes
 * one that was given, and whether the keys begin anew with it.
 * @template Row
 * @typedef {{row: Row, missed: number, correction: boolean, restarted: boolean}} Owed
 */

/** @param {unknown} text */
const canonical = (text) => String(text).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

/**
 * Whether two rows mean the same: a higher scale changes the text of a number, and not the number.
 * @param {Print | Bar} one
 * @param {Print | Bar | undefined} other
 */
export function isSameRow(one, other) {
  if (one === other) return true;
  if (!other) return false;
  const cells = new Map(Object.entries(other));
  return Object.entries(one).every(([name, cell]) => {
    const earlier = cells.get(name);
    return cell === earlier || (name !== "id" && cell !== null && earlier !== null && canonical(cell) === canonical(earlier));
  });
}

/** @template {Print | Bar} Row */
export class GivenLog {
  #keyOf;
  /** @type {Map<number, Row>} */
  #rows = new Map();
  /** The lowest key that can be owed: those before it were not asked for. */
  #first = -Infinity;
  /** @type {number | undefined} */
  #last;
  #run = 0;
  /** Whether the next row is the first one of another life of the server. */
  #restarted = false;

  /** @param {(row: Row) => number} keyOf */
  constructor(keyOf) {
    this.#keyOf = keyOf;
  }

  /**
   * The rows that were not given, and take them as given; at first the latest `firstCount`.
   * @param {readonly Row[]} rows in ascending order
   * @param {number} run the server's life: in another one, keys mean the same only where a row is the same
   * @param {number} firstCount
   * @returns {Owed<Row>[]}
   */
  owed(rows, run, firstCount) {
    const now = new Map(rows.map((row) => [this.#keyOf(row), row]));
    let given = this.#rows;
    if (run !== this.#run && this.#last !== undefined) {
      const lasting = [...given].some(([key, row]) => isSameRow(row, now.get(key)));
      if (!lasting) {
        this.#restarted = true;
        given = new Map();
        this.#last = undefined;
        this.#first = -Infinity;
      }
    }
    this.#rows = now;
    this.#run = run;
    const first = this.#last === undefined && !this.#restarted;
    const candidates = first ? rows.slice(-firstCount) : rows;
    if (first) this.#first = candidates.length > 0 ? this.#keyOf(candidates[0]) : -Infinity;
    return candidates.flatMap((row) => this.#owedOf(row, given.get(this.#keyOf(row))));
  }

  /**
   * @param {Row} row
   * @param {Row | undefined} given
   * @returns {Owed<Row>[]}
   */
  #owedOf(row, given) {
    const key = this.#keyOf(row);
    if (this.#last === undefined || key > this.#last) {
      const missed = this.#last === undefined ? 0 : key - this.#last - 1;
      const restarted = this.#restarted;
      this.#last = key;
      this.#restarted = false;
      return [{ row, missed, correction: false, restarted }];
    }
    if (key < this.#first || isSameRow(row, given)) return [];
    return [{ row, missed: 0, correction: true, restarted: false }];
  }
}
