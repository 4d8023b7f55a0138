/** The comparison of a copy with the server's, by their checksums (PROTOCOL.md, section 5). */
export type Verdict = {
    cut: number;
    equal: boolean | undefined;
};
/**
 * Whether both copies are equal at a cut; undefined if this copy is at another one, which proves nothing.
 * @typedef {{cut: number, equal: boolean | undefined}} Verdict
 */
/**
 * Compare the copy with the result of `digest`.
 * @param {Map<string, unknown>} result
 * @param {import("./replica.js").Replica} copy
 * @returns {Verdict}
 */
export declare function verdictOf(result: Map<string, unknown>, copy: import("./replica.js").Replica): Verdict;
