/** What changed in a table between two moments: for readers that skip what comes in between. */

/** @typedef {import("./fields.js").ChangedFields} ChangedFields */
/** @typedef {import("./fields.js").ChangedLevel} ChangedLevel */
/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("./rows.js").Bar} Bar */
/** @typedef {import("./rows.js").Print} Print */
/** @typedef {import("./rows.js").Rows} Rows */

/** @typedef {readonly (ChangedLevel | Print | Bar)[]} ChangedRows */

/** @type {Readonly<Fields>} */
const NOTHING = Object.freeze(Object.create(null));

/** @param {ChangedLevel | Print | Bar} row */
const keyOf = (row) => ("number" in row ? row.number : "start" in row ? row.start : row[0]);

/** @param {ChangedLevel | Print | Bar} row @returns {row is ChangedLevel} */
const isLevel = (row) => Array.isArray(row);

/**
 * The rows of `now` that are new or other ones. A level that is gone comes with null in place of its size; prints and bars
 * are never gone, the oldest ones only fall out.
 * @param {ChangedRows} before
 * @param {ChangedRows} now
 * @returns {(ChangedLevel | Print | Bar)[]}
 */
export function changedRows(before, now) {
  const old = new Map(before.map((row) => [keyOf(row), row]));
  const changed = now.filter((row) => {
    const earlier = old.get(keyOf(row));
    return earlier !== row && (!earlier || JSON.stringify(earlier) !== JSON.stringify(row));
  });
  const levels = before.filter(isLevel);
  if (levels.length === 0) return changed;
  const present = new Set(now.map(keyOf));
  const gone = levels.filter(([price]) => !present.has(price));
  return [...changed, ...gone.map(([price]) => Object.freeze(/** @type {const} */ ([price, null])))];
}

/**
 * The changes that lead from the fields of one moment to those of another; null for withdrawn fields without rows.
 * @param {Readonly<Fields>} [before]
 * @param {Readonly<Fields>} [now]
 * @returns {ChangedFields}
 */
export function tableChanges(before = NOTHING, now = NOTHING) {
  const changes = Object.create(null);
  for (const name of new Set([...Object.keys(before), ...Object.keys(now)])) {
    const [earlier, later] = [before[name], now[name]];
    if (earlier === later) continue;
    const rows = Array.isArray(later) || (later === undefined && Array.isArray(earlier));
    if (!rows) {
      changes[name] = later ?? null;
      continue;
    }
    const changed = changedRows(/** @type {ChangedRows} */ (earlier ?? []), /** @type {ChangedRows} */ (later ?? []));
    if (changed.length > 0) changes[name] = changed;
  }
  return changes;
}
