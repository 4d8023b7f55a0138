/** Patterns over symbols: `*`, `?`, `[abc]`, `[a-c]` and `[!abc]`; case matters (PROTOCOL.md, section 5). */
/**
 * Whether a name holds a character of patterns.
 * @param {string} name
 */
export declare const isPattern: (name: string) => boolean;
/**
 * Whether a name can be subscribed: a symbol or a pattern, perhaps with a table. One that cannot would have a whole
 * request for events refused.
 * @param {string} name
 */
export declare function isName(name: string): boolean;
/**
 * A test of whether the name of an instrument or a table matches any of these names.
 * @param {...string} names
 */
export declare const matcher: (...names: string[]) => (name: string) => boolean;
/**
 * Compile many names into one test of instruments and tables. A pattern over symbols matches no table: `*` does not, and
 * `*-USD book:10` matches that table of each instrument.
 * @param {Iterable<string>} names
 * @returns {(name: string) => boolean}
 */
export declare function matcherOf(names: Iterable<string>): (name: string) => boolean;
