/** Names of tables (PROTOCOL.md, sections 4 and 5): `BTC-USD book:10`, `BTC-USD trades:50`, `BTC-USD candles:1m:300`. */
export type TableKind = "book" | "trades" | "candles";
export type TableName = {
    kind: TableKind;
    rows: number;
    period: string;
};
/**
 * A name at its space: the symbol or pattern, and the table, which is empty for an instrument itself.
 * @param {string} name
 * @returns {[string, string]}
 */
export declare function splitName(name: string): [string, string];
/**
 * The table that `book:10`, `trades:50` or `candles:1m:300` names; undefined for any other text.
 * @param {string} text
 * @returns {TableName | undefined}
 */
export declare function parseTable(text: string): TableName | undefined;
/**
 * The table in a name; undefined for an instrument.
 * @param {string} name
 */
export declare const tableOf: (name: string) => TableName | undefined;
/**
 * The name of a table of an instrument.
 * @param {string} symbol
 * @param {TableName} table
 */
export declare const tableText: (symbol: string, { kind, rows, period }: TableName) => string;
