// The tab's title: the chosen symbol's price, and what is wrong with it.

import { grouped } from "./format.js";

const NAME = document.title;
// Each other title costs the page three milliseconds: the browser draws its tabs anew. Timers of a hidden tab come once a second, more or less.
const SHORTEST_MS = 900;

let shown = NAME;
let shownAt = -Infinity;

/** Show a quote (null: none) in the title, a second later at most; `connected` says whether its price can be the present one. */
export function showInTitle(quote, connected) {
  const title = quote === null ? NAME : titleOf(quote, connected);
  const now = performance.now();
  if (title === shown || now - shownAt < SHORTEST_MS) return;
  document.title = shown = title;
  shownAt = now;
}

function titleOf({ symbol, values, price, digits, live, state, percentText }, connected) {
  if (Number.isNaN(price)) return `${symbol} · ${NAME}`;
  const text = grouped(values.last ?? price.toFixed(digits));
  if (!connected) return `(no connection) ${text} ${symbol}`;
  return live ? `${text} ${percentText} ${symbol} · ${NAME}` : `(${state}) ${text} ${symbol}`;
}
