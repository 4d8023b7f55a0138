/**
 * The addresses of a service, and when each of them may be tried again.
 *
 * Any server of a service can go on with a copy, so a client that has lost one tries the next address at once. Each has a
 * backoff of its own, and the wait that its server asked for: with all of them down, the client goes round as slowly as it
 * would call a single one. An address whose server has said that coming back is of no use is dropped.
 */
export type End = import("./http.js").End;
/** @typedef {import("./http.js").End} End */
export declare class Addresses {
    #private;
    /**
     * @param {readonly string[]} bases
     * @param {readonly number[]} backoffMs the least and the most
     */
    constructor(bases: readonly string[], [least, most]: readonly number[]);
    /** The address of the present connection, or of the next attempt. */
    get current(): string;
    /** A REPLY came from the present address: its backoff starts over. */
    worked(): void;
    /**
     * The connection to the present address has ended: go on to the next one. Returns the milliseconds to wait before the
     * attempt there; undefined if coming back is of no use anywhere.
     * @param {End} end
     * @param {number} now
     */
    leave({ comeBack, retryMs, spreadMs }: End, now: number): number | undefined;
}
