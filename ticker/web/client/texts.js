/** Texts of the other side, shown as text only: they move no cursor, colour nothing and reorder nothing. */

const LONGEST_SHOWN = 300;
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** @param {string} character */
const escaped = (character) => {
  const code = character.codePointAt(0) ?? 0;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`;
};

/**
 * A text with everything escaped that is not printable, on one line: control characters, terminal sequences, marks of
 * direction and other invisible characters.
 * @param {string} text
 */
export const printable = (text) => text.replace(UNPRINTABLE, escaped);

/**
 * The beginning of any value as text, printable, as a part of a message for people.
 * @param {unknown} value
 */
export function excerpt(value) {
  const text = String(value);
  return printable(text.length <= LONGEST_SHOWN ? text : `${text.slice(0, LONGEST_SHOWN - 1)}…`);
}
