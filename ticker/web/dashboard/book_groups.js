// Levels of a book, grouped by a price step. Sums are exact.

import { ceilTo, floorTo, scaleOf, textOf, unitsOf } from "./decimals.js";

const MULTIPLES = [1, 5, 10, 50, 100, 500, 1000, 5000, 10_000];
const LEAST_STEPS = 100; // a step is at most this part of the price

/** The price steps for a book, as multiples of its price unit: `{ multiple, text }`. */
export function stepsFor({ bids, asks }) {
  const prices = [...bids, ...asks].map(([price]) => price);
  const scale = scaleOf(prices);
  const best = bids[0]?.[0] ?? asks[0]?.[0] ?? "0";
  const most = Math.abs(Number(best)) * 10 ** scale / LEAST_STEPS;
  return MULTIPLES.filter((multiple) => multiple === 1 || multiple <= most).map((multiple) => ({ multiple, text: textOf(BigInt(multiple), scale) }));
}

/**
 * The best `count` groups of one side: `{ price, size, total, amount, partial }`, where `total` sums up from the best and `amount` is
 * the size as a number, for its bar. Bids count to the step below, asks to the one above, so that no group is better than its
 * levels. `isWhole`: the side has no levels beyond these; otherwise more may belong to the last group, which is `partial`.
 */
export function groupsOf(levels, { multiple, scale, isBid, count, isWhole }) {
  const sizeScale = scaleOf(levels.map(([, size]) => size));
  const edgeOf = edges(multiple, isBid);
  const groups = [];
  let total = 0n;
  let ended = false;
  for (const [price, size] of levels) {
    const edge = edgeOf(unitsOf(price, scale));
    if (groups.at(-1)?.edge !== edge) {
      ended = groups.length === count;
      if (ended) break;
      groups.push({ edge, units: 0n, total: 0n });
    }
    const units = unitsOf(size, sizeScale);
    total += units;
    groups.at(-1).units += units;
    groups.at(-1).total = total;
  }
  const isPartial = multiple > 1 && !ended && !isWhole;
  return groups.map(({ edge, units, total: sum }, index) => ({
    price: textOf(edge, scale),
    size: textOf(units, sizeScale),
    total: textOf(sum, sizeScale),
    amount: Number(units) / 10 ** sizeScale,
    partial: isPartial && index === groups.length - 1,
  }));
}

function edges(multiple, isBid) {
  const step = BigInt(multiple);
  return (units) => (isBid ? floorTo(units, step) : ceilTo(units, step));
}

/** The price of the group that a trade at a price belongs to, on one side of the book. */
export function groupOf(price, { multiple, scale, isBid }) {
  return textOf(edges(multiple, isBid)(unitsOf(price, scale)), scale);
}

/** The difference of two prices, exactly. */
export function difference(one, other) {
  const scale = scaleOf([one, other]);
  return textOf(unitsOf(one, scale) - unitsOf(other, scale), scale);
}
