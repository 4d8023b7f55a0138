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
 * The best `count` groups of one side: `{ price, size, total, share }`, where `total` sums up from the best and `share` is a part
 * of 1 for the bar. Bids count to the step below, asks to the one above, so that no group is better than its levels. `partial`: more
 * levels may belong to it than the book has.
 */
export function groupsOf(levels, { multiple, scale, isBid, count, isWhole }) {
  const sizeScale = scaleOf(levels.map(([, size]) => size));
  const step = BigInt(multiple);
  const groups = [];
  let total = 0n;
  for (const [price, size] of levels) {
    const units = unitsOf(price, scale);
    const edge = multiple === 1 ? units : isBid ? floorTo(units, step) : ceilTo(units, step);
    if (groups.at(-1)?.edge !== edge) {
      if (groups.length === count) break;
      groups.push({ edge, units: 0n, total: 0n });
    }
    const amount = unitsOf(size, sizeScale);
    total += amount;
    const group = groups.at(-1);
    group.units += amount;
    group.total = total;
  }
  const deepest = groups.length > 0 && groups.length < count + 1 && !isWhole && multiple > 1 && reachesEnd(levels, groups, { scale, step, isBid });
  return groups.map(({ edge, units, total: sum }, index) => ({
    price: textOf(edge, scale),
    size: textOf(units, sizeScale),
    total: textOf(sum, sizeScale),
    amount: Number(units) / 10 ** sizeScale,
    partial: deepest && index === groups.length - 1,
  }));
}

/** Whether the last group ends where the levels do. */
function reachesEnd(levels, groups, { scale, step, isBid }) {
  const units = unitsOf(levels.at(-1)[0], scale);
  return groups.at(-1).edge === (isBid ? floorTo(units, step) : ceilTo(units, step));
}

/** The group's price of a trade, on the side of the book that it lies on. */
export function groupOf(price, { multiple, scale, isBid }) {
  const units = unitsOf(price, scale);
  const step = BigInt(multiple);
  return textOf(isBid ? floorTo(units, step) : ceilTo(units, step), scale);
}

/** The difference of two prices, exactly. */
export function difference(one, other) {
  const scale = scaleOf([one, other]);
  return textOf(unitsOf(one, scale) - unitsOf(other, scale), scale);
}
