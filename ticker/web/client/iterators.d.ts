/** Iterators of one source: those that wait, in order, and the end for all of them. */
export type TickerError = import("./errors.js").TickerError;
/** @typedef {import("./errors.js").TickerError} TickerError */
/** @template Item */
export declare class Iterators<Item> {
    #private;
    over: boolean;
    /** @param {() => Item | undefined} take takes the next item; undefined while there is none */
    constructor(take: () => Item | undefined);
    /**
     * The next item, once there is one.
     * @returns {Promise<IteratorResult<Item, undefined>>}
     */
    next(): Promise<IteratorResult<Item, undefined>>;
    /** Give items to those that wait; after the end there are no new ones. */
    deliver(): void;
    /**
     * End after the items that are there, with an error if there is one.
     * @param {TickerError} [error]
     */
    end(error?: TickerError): void;
}
