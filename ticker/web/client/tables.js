/** Names of tables (PROTOCOL.md, sections 4 and 5): `BTC-USD book:10`, `BTC-USD trades:50`, `BTC-USD candles:1m:300`. */

/** @typedef {"book" | "trades" | "candles"} TableKind */
/**
 * A table of some instrument. `rows`: price levels of each side, the latest prints, the latest bars. `period`: of candles.
 * @typedef {{kind: TableKind, rows: number, period: string}} TableName
 */

const MAX_TABLE = 32; // characters
const TABLE = /^(?:(book|trades):([1-9][0-9]{0,5})|(candles):([1-9][0-9]{0,3}[smhd]):([1-9][0-9]{0,5}))$/;

/**
 * A name at its space: the symbol or pattern, and the table, which is empty for an instrument itself.
 * @param {string} name
 * @returns {[string, string]}
 */
export function splitName(name) {
  const at = name.indexOf(" ");
  return at < 0 ? [name, ""] : [name.slice(0, at), name.slice(at + 1)];
}

/**
 * The table that `book:10`, `trades:50` or `candles:1m:300` names; undefined for any other text.
 * @param {string} text
 * @returns {TableName | undefined}
 */
export function parseTable(text) {
  const found = text.length <= MAX_TABLE ? TABLE.exec(text) : null;
  if (!found) return undefined;
  const [, kind, count, candles, period = "", bars] = found;
  return { kind: /** @type {TableKind} */ (kind ?? candles), rows: Number(count ?? bars), period };
}

/**
 * The table in a name; undefined for an instrument.
 * @param {string} name
 */
export const tableOf = (name) => (name.includes(" ") ? parseTable(splitName(name)[1]) : undefined);

/**
 * The name of a table of an instrument.
 * @param {string} symbol
 * @param {TableName} table
 */
export const tableText = (symbol, { kind, rows, period }) =>
  period ? `${symbol} ${kind}:${period}:${rows}` : `${symbol} ${kind}:${rows}`;
