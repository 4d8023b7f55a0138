// A list in the page's address: its names behind `#`, and what it is called, if it has a name of its own.

import { isPattern } from "./patterns.js";

const LONGEST_NAME = 128;
const MOST_NAMES = 2000;
const TITLE = "&list=";

/** The part of an address behind the page's own. */
export function fragmentOf(names, title = "") {
  return `#${names.map((name) => encodeURIComponent(name)).join(",")}${title ? TITLE + encodeURIComponent(title) : ""}`;
}

/** The list in a fragment: `{names, title}`; null if there is none. */
export function listIn(fragment) {
  const text = fragment.replace(/^#/, "");
  const at = text.indexOf(TITLE);
  const names = validNames((at < 0 ? text : text.slice(0, at)).split(",").map(decoded));
  if (names.length === 0) return null;
  return { names, title: at < 0 ? "" : decoded(text.slice(at + TITLE.length)).slice(0, 60) };
}

/** Those of some texts that can be names, each once. */
export function validNames(texts) {
  return [...new Set(texts.filter((name) => name && name.length <= LONGEST_NAME && !/[\s,]/.test(name)))].slice(0, MOST_NAMES);
}

/** The symbols among names, patterns left out. */
export const symbolsAmong = (names) => names.filter((name) => !isPattern(name));

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
