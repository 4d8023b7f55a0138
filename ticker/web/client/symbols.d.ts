/** Patterns over symbols: `*`, `?`, `[abc]`, `[a-c]` and `[!abc]`; case matters (PROTOCOL.md, section 5). */
/**
 * Whether a name holds a character of patterns.
 * @param {string} name
 */
export declare const isPattern: (name: string) => boolean;
/**
 * Whether a name can be subscribed. One that cannot would have a whole request for events refused.
 * @param {string} name
 */
export declare const isName: (name: string) => boolean;
/**
 * A test of whether a symbol matches any of these symbols and patterns.
 * @param {...string} names
 */
export declare const matcher: (...names: string[]) => (symbol: string) => boolean;
/**
 * Compile many symbols and patterns into one test.
 * @param {Iterable<string>} names
 * @returns {(symbol: string) => boolean}
 */
export declare function matcherOf(names: Iterable<string>): (symbol: string) => boolean;
