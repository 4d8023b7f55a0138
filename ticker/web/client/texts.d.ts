/** Texts of the other side, shown as text only: they move no cursor, colour nothing and reorder nothing. */
/**
 * A text with everything escaped that is not printable, on one line: control characters, terminal sequences, marks of
 * direction and other invisible characters.
 * @param {string} text
 */
export declare const printable: (text: string) => string;
/**
 * The beginning of any value as text, printable, as a part of a message for people.
 * @param {unknown} value
 */
export declare function excerpt(value: unknown): string;
