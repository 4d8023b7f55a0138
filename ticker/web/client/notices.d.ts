/**
 * Errors, on the console, unless the user listens for them: names that bring nothing, and connections that fail.
 *
 * A name or pattern is also reported, as `unmatched`, if for some seconds after the server's answer no instrument has it.
 */
export type Outcome = import("./messages.js").Outcome;
export type Target = {
    hasListened: (type: "mismatch" | "refused" | "source" | "state" | "unmatched") => boolean;
    dispatchEvent: (event: Event) => boolean;
};
/** @typedef {import("./messages.js").Outcome} Outcome */
/** @typedef {{hasListened: (type: "mismatch" | "refused" | "source" | "state" | "unmatched") => boolean, dispatchEvent: (event: Event) => boolean}} Target */
export declare class Notices {
    #private;
    /**
     * @param {Target} target for whose events the user may listen
     * @param {() => string[]} unmatched the names without an instrument, as far as the server has answered for them
     * @param {number} afterMs
     */
    constructor(target: Target, unmatched: () => string[], afterMs: number);
    /**
     * The server refused some names. Those that it only does not know yet may come in a moment.
     * @param {Outcome[]} outcomes
     */
    refused(outcomes: Outcome[]): void;
    /** The server has answered for some names: look after some seconds which of them have no instrument. */
    answered(): void;
    /**
     * The copy was not what the server has.
     * @param {number} cut
     */
    mismatch(cut: number): void;
    /**
     * The server hears nothing from its source since then, or hears it again.
     * @param {Date | null} since
     */
    source(since: Date | null): void;
    /** A connection is up. */
    connected(): void;
    /**
     * A connection failed; each reason of an outage is said once.
     * @param {string} reason
     */
    lost(reason: string): void;
    /**
     * The client has given up. Where that is for want of a token, say where one goes.
     * @param {import("./http.js").End} end
     */
    ended({ reason, status }: import("./http.js").End): void;
    /** The client is closed. */
    close(): void;
}
