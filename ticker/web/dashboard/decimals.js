// Exact arithmetic on decimal texts: as whole units of so many decimal places.

import { places } from "./format.js";

/** The most decimal places of these texts. */
export const scaleOf = (texts) => texts.reduce((most, text) => Math.max(most, places(text)), 0);

/** A decimal text in units of 10 ** -scale; it has no more places than that. */
export function unitsOf(text, scale) {
  const [whole, fraction = ""] = text.split(".");
  return BigInt(whole + fraction.padEnd(scale, "0"));
}

/** Units of 10 ** -scale as a decimal text. */
export function textOf(units, scale) {
  const digits = String(units < 0n ? -units : units).padStart(scale + 1, "0");
  const point = digits.length - scale;
  return `${units < 0n ? "-" : ""}${digits.slice(0, point)}${scale > 0 ? `.${digits.slice(point)}` : ""}`;
}

/** The multiple of a step at or below some units, as for negative ones too. */
export function floorTo(units, step) {
  const rest = units % step;
  return rest < 0n ? units - rest - step : units - rest;
}

/** The multiple of a step at or above some units. */
export const ceilTo = (units, step) => -floorTo(-units, step);
