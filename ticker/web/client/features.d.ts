/** The tables that a service offers, as its WELCOME says, and the choice of the one that serves a user. */
export type TableName = import("./tables.js").TableName;
export type Features = {
    book: number[];
    trades: number[];
    candles: {
        periods: string[];
        rows: number[];
    };
    digest: boolean;
    delay: number;
    fields: number;
};
/**
 * The `features` of a WELCOME. Raises TickerError for what they cannot be.
 * @param {Map<string, unknown> | undefined} offer
 * @returns {Features}
 */
export declare function featuresOf(offer: Map<string, unknown> | undefined): Features;
/**
 * The table with at least the wanted number of rows.
 * @param {Features} features
 * @param {TableName} wanted
 * @returns {TableName}
 * @throws {TickerError} if the service has none; it says what there is
 */
export declare function offered(features: Features, wanted: TableName): TableName;
