/** The tape of an instrument: each of its trades once. */
import { TableReader } from "./table_reader.js";
export type Fields = import("./fields.js").Fields;
export type OwedPrint = import("./given.js").Owed<import("./rows.js").Print>;
export type Replica = import("./replica.js").Replica;
export type Print = import("./rows.js").Print;
export type Trade = {
    readonly number: number;
    readonly price: string;
    readonly size: string;
    readonly time: Date;
    readonly timeUs: number;
    readonly side: "buy" | "sell" | null;
    readonly id: string | number | null;
    readonly missed: number;
    readonly correction: boolean;
    readonly restarted: boolean;
};
export type TradesEvent = Event & {
    trades: readonly Trade[];
};
/**
 * The trades of an instrument. Made by `Client.trades`.
 *
 * Listen to `change`, or iterate: both begin with the latest trades that there are, as many as were asked for, and have each
 * later one once. A loop that is too slow misses the oldest of those that it has not had, and is told how many: the client
 * keeps as many as the table has.
 * @extends {TableReader<Trade, {change: TradesEvent}>}
 */
export declare class Trades extends TableReader<Trade, {
    change: TradesEvent;
}> {
    #private;
    /**
     * @param {Replica} copy
     * @param {string} symbol
     * @param {number} count
     * @param {(reader: Trades) => void} closed
     */
    constructor(copy: Replica, symbol: string, count: number, closed: (reader: Trades) => void);
    /**
     * The latest trades, as many as were asked for, the last one last: the same array until there is another.
     * @returns {readonly Trade[]}
     */
    get latest(): readonly Trade[];
}
