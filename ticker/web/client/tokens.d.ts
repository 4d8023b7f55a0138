/** The user's tokens: the present one, and fresh ones. */
export type Token = import("./options.js").Token;
/** @typedef {import("./options.js").Token} Token */
export declare class Tokens {
    #private;
    /**
     * The token of the last connection.
     * @type {string | undefined}
     */
    last: string | undefined;
    /** @param {Token | undefined} source */
    constructor(source: Token | undefined);
    /** Whether fresh tokens can be had. */
    get renewable(): boolean;
    fresh(): Promise<string | undefined>;
    /** The token for a new connection. */
    forConnection(): Promise<string | undefined>;
    /**
     * Keep a token for the next connection.
     * @param {string} token
     */
    keep(token: string): void;
}
