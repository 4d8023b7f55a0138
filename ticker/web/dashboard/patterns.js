// Names as the user types them: symbols and patterns. Matching is in `ticker.js`.

/** Whether a name of the list is a pattern rather than one symbol. */
export function isPattern(name) {
  return /[*?[\]]/.test(name);
}

/** The names in a text, separated by commas or spaces, each once. */
export function namesIn(text) {
  return [...new Set(text.split(/[\s,]+/).filter((name) => name && name.length <= 128))];
}

/** A pattern for symbols that contain a text, in either case. */
export function containing(text) {
  const letters = [...text].map((letter) => {
    const [small, large] = [letter.toLowerCase(), letter.toUpperCase()];
    return small === large || small.length + large.length !== 2 ? letter : `[${small}${large}]`;
  });
  const pattern = `*${letters.join("")}*`;
  return pattern.length <= 128 ? pattern : `*${text.slice(0, 126)}*`;
}
