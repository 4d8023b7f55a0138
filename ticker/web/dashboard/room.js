// A connection may have so many names, and patterns among them: which of a list's it has, and what is said of the others.

import { isPattern } from "./patterns.js";
import { matcher } from "../ticker.js";

const TOO_MANY = 8; // names on a connection (PROTOCOL.md, section 7)
const LEFT_OUT = "left out: this connection has no room for it";

/** What the panel says of a table for which a connection has no room. */
export const NO_ROOM = "the connection has no room for it beside this list; shorten that";

/** Why a table cannot be had, in words for the panel. */
export const reasonOf = ({ code, message }) => (code === TOO_MANY ? NO_ROOM : message);

/** The first of a list's names that fit into a connection with these limits, in their order. */
export function fitting(names, { symbols = Infinity, patterns = Infinity }) {
  let room = patterns;
  return names.filter((name) => !isPattern(name) || (room -= 1) >= 0).slice(0, symbols);
}

/** How many names are left out, and why; empty if none is. */
export function leftOutText(names, fit, { symbols, patterns }) {
  const left = names.length - fit.length;
  if (left === 0) return "";
  const most = [symbols && `${symbols} names`, patterns && `${patterns} pattern${patterns === 1 ? "" : "s"}`].filter(Boolean).join(", at most ");
  return `${left} of the ${names.length} names of this list ${left === 1 ? "is" : "are"} left out: a connection to this service may have ${most}. Split the list to see all.`;
}

/** Mark the symbols of a list that nothing brings while only those that fit are subscribed. */
export function markLeftOut(names, fit, quotes) {
  const comes = matcher(...fit);
  for (const name of names) {
    if (isPattern(name)) continue;
    const quote = quotes.of(name);
    const problem = comes(name) ? "" : LEFT_OUT;
    if (quote.problem === problem || (!problem && quote.problem !== LEFT_OUT)) continue;
    quote.problem = problem;
    quote.version += 1;
  }
}
