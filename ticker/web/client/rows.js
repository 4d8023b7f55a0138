/**
 * Rows of a table: their columns, the values that these can have, their order, and their form for users.
 *
 * - Rows merge by their key, the first column: the price of a level, the number of a print, the start of a bar.
 * - Prints and bars are logs: the last N keys are kept, N being the number in the table's name.
 * - A book is never trimmed: the server says which levels leave it, as levels without a size. So more than N levels on a
 *   side break the protocol.
 */

import { malformed } from "./errors.js";
import { ASKS, BIDS, CANDLES, INTEGER, OWN, PRICE, SIZE, TRADES, decimalText, isPlainDecimal, rescaled } from "./fields.js";
import { isNatural, isShort } from "./messages.js";

/** @typedef {import("./messages.js").Definition} Definition */
/** @typedef {import("./tables.js").TableKind} TableKind */
/** @typedef {import("./tables.js").TableName} TableName */

/** @typedef {number | string | null} Cell */
/**
 * A price level: its price and its size.
 * @typedef {readonly [price: string, size: string]} Level
 */
/**
 * A print. `number` is the service's own, one higher with each print of the instrument; `time` is in microseconds since
 * 1970 UTC; `side` took the liquidity; `id` is the venue's. A busted print has the size 0.
 * @typedef {{
 *   readonly number: number, readonly price: string, readonly size: string, readonly time: number,
 *   readonly side: "buy" | "sell" | null, readonly id: string | number | null,
 * }} Print
 */
/**
 * A bar; `start` is in seconds since 1970 UTC, and null stands for what is not known (bars that are made of quotes).
 * @typedef {{
 *   readonly start: number, readonly open: string, readonly high: string, readonly low: string, readonly close: string,
 *   readonly volume: string | null, readonly count: number | null,
 * }} Bar
 */
/** @typedef {readonly Level[] | readonly Print[] | readonly Bar[]} Rows */
/**
 * The cells of a row, and its form for users once that was asked for.
 * @typedef {{cells: Cell[], shown?: Level | Print | Bar}} Row
 * @typedef {Map<Cell, Row>} RowsByKey
 */
/** @typedef {(cell: unknown) => boolean} Check */

const MAX_START = 1e11; // seconds: what lies beyond has no date
const EXACT_PLACES = 40;

/**
 * By kind of table: the fields that have its rows.
 * @type {Record<TableKind, number[]>}
 */
const FIELDS_OF = { book: [BIDS, ASKS], trades: [TRADES], candles: [CANDLES] };

/** @type {Check} */
const isNumber = (cell) => Number.isSafeInteger(cell) || isPlainDecimal(cell);
/** @type {(check: Check) => Check} */
const orNull = (check) => (cell) => cell === null || check(cell);
/** @type {Check} */
const isId = (cell) => Number.isSafeInteger(cell) || isShort(cell);
/** @type {Check} */
const isStart = (cell) => Number.isSafeInteger(cell) && Math.abs(Number(cell)) <= MAX_START;
/** @type {Check} */
const isSide = (cell) => cell === 1 || cell === -1;

/** @type {[number, Check][]} */
const LEVEL = [[PRICE, isNumber], [SIZE, orNull(isNumber)]];
/** @type {[number, Check]} */
const A_PRICE = [PRICE, isNumber];
/**
 * By field: the kind of each column, and the test of its cells.
 * @type {Record<number, [number, Check][]>}
 */
const COLUMNS = {
  [BIDS]: LEVEL,
  [ASKS]: LEVEL,
  [TRADES]: [
    [INTEGER, isNatural], A_PRICE, [SIZE, isNumber], [INTEGER, Number.isSafeInteger], [INTEGER, orNull(isSide)], [OWN, orNull(isId)],
  ],
  [CANDLES]: [
    [INTEGER, isStart], A_PRICE, A_PRICE, A_PRICE, A_PRICE, [SIZE, orNull(isNumber)], [INTEGER, orNull(isNatural)],
  ],
};

/**
 * Whether a field has the rows of this kind of table.
 * @param {TableName} table
 * @param {unknown} key
 */
export const isRowFieldOf = ({ kind }, key) => typeof key === "number" && FIELDS_OF[kind].includes(key);

/**
 * Rows of the wire, checked, by their key; null if the field is withdrawn.
 * @param {Definition} definition
 * @param {number} field
 * @param {unknown} flat
 * @returns {RowsByKey | null}
 */
export function checkedRows({ symbol }, field, flat) {
  if (flat === null) return null;
  const columns = COLUMNS[field];
  const width = columns.length;
  if (!Array.isArray(flat) || flat.length % width) throw malformed(`${symbol}: rows are an array of ${width} columns each`);
  /** @type {RowsByKey} */
  const rows = new Map();
  for (let at = 0; at < flat.length; at += width) {
    for (let column = 0; column < width; column++) {
      if (!columns[column][1](flat[at + column])) throw malformed(`${symbol}: a row has a value that it cannot have`);
    }
    if (rows.has(flat[at])) throw malformed(`${symbol}: two rows with one key`);
    rows.set(flat[at], { cells: flat.slice(at, at + width) });
  }
  return rows;
}

/**
 * Whether a field can have rows.
 * @param {unknown} key
 */
export const isRowField = (key) => typeof key === "number" && key in COLUMNS;

/** @param {Row} row */
const isLevel = ({ cells }) => cells[1] !== null;
/** @param {Row} one @param {Row} other */
const isSame = (one, other) => one.cells.every((cell, column) => cell === other.cells[column]);

/** The rows of one table. */
export class TableRows {
  #definition;
  #table;
  /** @type {Map<number, RowsByKey>} */
  #rows;
  /**
   * The rows in order, for users, until one changes.
   * @type {Map<number, Rows>}
   */
  #shown = new Map();

  /**
   * @param {Definition} definition
   * @param {TableName} table
   */
  constructor(definition, table) {
    this.#definition = definition;
    this.#table = table;
    this.#rows = new Map(FIELDS_OF[table.kind].map((field) => [field, new Map()]));
  }

  /** Fields that have rows in this table. */
  get fields() {
    return [...this.#rows.keys()];
  }

  /** Number of rows for which the table has room. */
  get room() {
    return this.#table.rows * this.#rows.size;
  }

  /**
   * Replace the definition, and move the numbers to its scales.
   * @param {Definition} definition
   */
  redefine(definition) {
    const before = this.#definition;
    this.#definition = definition;
    if (before.priceScale === definition.priceScale && before.sizeScale === definition.sizeScale) return;
    this.#shown.clear();
    for (const [field, rows] of this.#rows) {
      /** @type {RowsByKey} */
      const moved = new Map();
      for (const { cells } of rows.values()) {
        const row = cells.map((cell, column) => {
          const [kind] = COLUMNS[field][column];
          if (typeof cell !== "number") return cell;
          if (kind === PRICE) return rescaled(cell, before.priceScale, definition.priceScale);
          return kind === SIZE ? rescaled(cell, before.sizeScale, definition.sizeScale) : cell;
        });
        moved.set(row[0], { cells: row });
      }
      this.#rows.set(field, moved);
    }
  }

  /**
   * Check that a book has no more levels after these changes than it may; `anew`: they replace all.
   * @param {number} field
   * @param {RowsByKey} changes
   * @param {boolean} anew
   */
  checkLevels(field, changes, anew) {
    const { kind, rows: most } = this.#table;
    if (kind !== "book") return;
    const held = anew ? new Map() : /** @type {RowsByKey} */ (this.#rows.get(field));
    let count = held.size;
    for (const [key, row] of changes) {
      if (anew && !isLevel(row)) throw malformed(`${this.#definition.symbol}: a level without a size in a complete book`);
      if (isLevel(row) && !held.has(key)) count++;
      else if (!isLevel(row) && held.has(key)) count--;
    }
    if (count > most) throw malformed(`${this.#definition.symbol}: ${count} levels on a side of a book of ${most}`);
  }

  /**
   * Merge checked rows; null takes all of the field away. Rows that are as before stay the same objects.
   * @param {number} field
   * @param {RowsByKey | null} changes
   */
  merge(field, changes) {
    const rows = /** @type {RowsByKey} */ (this.#rows.get(field));
    this.#shown.delete(field);
    if (changes === null) return rows.clear();
    for (const [key, row] of changes) {
      const before = rows.get(key);
      if (this.#table.kind === "book" && !isLevel(row)) rows.delete(key);
      else if (!before || !isSame(before, row)) rows.set(key, row);
    }
    if (this.#table.kind === "book" || rows.size <= this.#table.rows) return;
    const beyond = rows.size - this.#table.rows;
    for (const { cells } of this.#ordered(field).slice(0, beyond)) rows.delete(cells[0]);
  }

  /**
   * Replace all rows by these; those that are as before stay the same objects.
   * @param {Map<unknown, unknown>} fields
   */
  replace(fields) {
    for (const [field, before] of this.#rows) {
      const rows = new Map(/** @type {RowsByKey | null | undefined} */ (fields.get(field)));
      for (const [key, row] of rows) {
        const same = before.get(key);
        if (same && isSame(same, row)) rows.set(key, same);
      }
      this.#rows.set(field, new Map());
      this.merge(field, rows);
    }
  }

  /**
   * The rows of a field in their order: bids from the highest price, all others from the lowest key.
   * @param {number} field
   */
  #ordered(field) {
    const rows = [.../** @type {RowsByKey} */ (this.#rows.get(field)).values()];
    const sign = field === BIDS ? -1 : 1;
    if (rows.every(({ cells: [key] }) => typeof key === "number")) {
      return rows.sort((one, other) => sign * (Number(one.cells[0]) - Number(other.cells[0])));
    }
    const scale = this.#definition.priceScale;
    const exact = new Map(rows.map((row) => [row, exactly(row.cells[0], scale)]));
    return rows.sort((one, other) => sign * compare(/** @type {bigint} */ (exact.get(one)), /** @type {bigint} */ (exact.get(other))));
  }

  /**
   * The rows of a field as on the wire: columns one behind the other.
   * @param {number} field
   */
  flat(field) {
    return this.#ordered(field).flatMap(({ cells }) => cells);
  }

  /**
   * The rows of a field for users, in order: the same array until a row changes.
   * @param {number} field
   * @returns {Rows}
   */
  present(field) {
    let shown = this.#shown.get(field);
    if (!shown) {
      const rows = this.#ordered(field).map((row) => (row.shown ??= showRow(field, row.cells, this.#definition)));
      shown = /** @type {Rows} */ (Object.freeze(rows));
      this.#shown.set(field, shown);
    }
    return shown;
  }
}

/**
 * A price of either form as an integer that compares exactly.
 * @param {Cell} cell
 * @param {number} scale
 */
function exactly(cell, scale) {
  const [whole, places = ""] = (typeof cell === "number" ? decimalText(cell, scale) : String(cell)).split(".");
  return BigInt(whole + places.padEnd(EXACT_PLACES, "0"));
}

/** @param {bigint} one @param {bigint} other */
const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

/**
 * The form of a row for users.
 * @param {number} field
 * @param {Cell[]} cells
 * @param {Definition} definition
 * @returns {Level | Print | Bar}
 */
function showRow(field, cells, { priceScale, sizeScale }) {
  const shown = cells.map((cell, column) => {
    const [kind] = COLUMNS[field][column];
    if (typeof cell !== "number" || (kind !== PRICE && kind !== SIZE)) return cell;
    return decimalText(cell, kind === PRICE ? priceScale : sizeScale);
  });
  let row;
  if (field === TRADES) {
    const [number, price, size, time, side, id] = shown;
    row = { number, price, size, time, side: side && (side === 1 ? "buy" : "sell"), id };
  } else if (field === CANDLES) {
    const [start, open, high, low, close, volume, count] = shown;
    row = { start, open, high, low, close, volume, count };
  } else row = shown;
  return /** @type {Level | Print | Bar} */ (/** @type {unknown} */ (Object.freeze(row)));
}
