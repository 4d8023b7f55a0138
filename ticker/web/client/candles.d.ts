/** The bars of an instrument: those that are there, and each later one as it changes and closes. */
import { TableReader } from "./table_reader.js";
export type Fields = import("./fields.js").Fields;
export type OwedBar = import("./given.js").Owed<Row>;
export type Replica = import("./replica.js").Replica;
export type Row = import("./rows.js").Bar;
export type Candle = {
    readonly start: number;
    readonly open: string;
    readonly high: string;
    readonly low: string;
    readonly close: string;
    readonly volume: string | null;
    readonly trades: number | null;
    readonly correction: boolean;
};
export type CandlesEvent = Event & {
    bars: readonly Candle[];
};
export type Point = {
    time: number;
    open: number;
    high: number;
    low: number;
    close: number;
};
export type Series<Data = Point> = {
    setData(data: Data[]): unknown;
    update(bar: Data): unknown;
};
/** @param {Candle} bar @returns {Point} */
export declare const pointOf: ({ start, open, high, low, close }: Candle) => Point;
/**
 * The latest bars of an instrument. Made by `Client.candles`.
 *
 * `bars` are those of the present moment, the last of which is still open. Listeners to `change` get each bar that changed. A
 * loop has each *closed* bar once: at first those that there are, then each as it closes, by the service's clock. A bar that
 * changes when it is closed comes again, as a `correction`.
 *
 * With `fill`, periods without a trade have bars too: their prices are the last close, their volume is 0.
 * @extends {TableReader<Candle, {change: CandlesEvent}>}
 */
export declare class Candles extends TableReader<Candle, {
    change: CandlesEvent;
}> {
    #private;
    /**
     * The latest bars, as many as were asked for, the last one last: the same array until a bar of it changes.
     * @type {readonly Candle[]}
     */
    bars: readonly Candle[];
    /**
     * @param {Replica} copy
     * @param {string} symbol
     * @param {string} period
     * @param {number} count
     * @param {boolean} fill
     * @param {(reader: Candles) => void} closed
     */
    constructor(copy: Replica, symbol: string, period: string, count: number, fill: boolean, closed: (reader: Candles) => void);
    /**
     * Show the bars in a chart: `setData` with those that there are, then `update` for each that changes. Returns a function that
     * ends this.
     * @template [Data=Point]
     * @param {Series<Data>} series
     * @param {(bar: Candle) => Data} [dataOf] by default `{ time, open, high, low, close }`, as numbers
     */
    bindTo<Data = Point>(series: Series<Data>, dataOf?: (bar: Candle) => Data): () => void;
}
