// The tab's title: the chosen symbol's price, and what is wrong with it.

import { grouped } from "./format.js";

const NAME = document.title;

/** Show a quote (null: none) in the title; `connected` says whether its price can be the present one. */
export function showInTitle(quote, connected) {
  const title = quote === null ? NAME : titleOf(quote, connected);
  if (document.title !== title) document.title = title;
}

function titleOf({ symbol, values, price, digits, live, state, percentText }, connected) {
  if (Number.isNaN(price)) return `${symbol} · ${NAME}`;
  const text = grouped(values.last ?? price.toFixed(digits));
  if (!connected) return `(no connection) ${text} ${symbol}`;
  return live ? `${text} ${percentText} ${symbol} · ${NAME}` : `(${state}) ${text} ${symbol}`;
}
