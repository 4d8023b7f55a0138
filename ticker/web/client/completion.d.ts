/** The wait until the server has sent all that it has. */
export type TickerError = import("./errors.js").TickerError;
/** @typedef {import("./errors.js").TickerError} TickerError */
export declare class Completion {
    #private;
    /**
     * Wait; rejects with the error of the end, if it has one.
     * @returns {Promise<void>}
     */
    wait(): Promise<void>;
    /** The copy is incomplete again. */
    hold(): void;
    release(): void;
    /** @param {TickerError} [error] */
    end(error?: TickerError): void;
}
