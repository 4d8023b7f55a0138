/** What a fresh token changes, as the reply to `auth` says it (PROTOCOL.md, section 5). */
/**
 * The epoch and the limits that hold from now on. Raises TickerError if they are not valid.
 * @param {Map<string, unknown>} result
 * @param {string} presentEpoch
 * @param {Map<string, number>} presentLimits
 */
export declare function admissionOf(result: Map<string, unknown>, presentEpoch: string, presentLimits: Map<string, number>): {
    epoch: string;
    limits: Map<string, number>;
};
/** @param {string} epoch */
export declare function checkEpoch(epoch: string): void;
