// How numbers and times are written: exact texts, thousands set apart everywhere, one minus sign.

const compactly = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
const percent = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const NONE = "–";
export const MINUS = "−";

const isMissing = (text) => text === undefined || text === null;

/** An exact decimal text with its thousands set apart. */
export function grouped(text) {
  if (isMissing(text)) return NONE;
  const negative = text.startsWith("-");
  const size = negative ? text.slice(1) : text;
  const point = size.indexOf(".");
  const whole = point < 0 ? size : size.slice(0, point);
  const apart = whole.length > 3 ? whole.replace(/\B(?=(\d{3})+$)/g, ",") : whole;
  return `${negative ? MINUS : ""}${apart}${point < 0 ? "" : size.slice(point)}`;
}

/** A word of the protocol as people write it: "exchange_halt" is exchange halt. */
export const spaced = (word) => word?.replaceAll("_", " ");

/** A duration in the largest unit that fits: 15 min. */
export function duration(seconds) {
  for (const [size, unit] of [[3600, "h"], [60, "min"]]) {
    if (seconds && seconds % size === 0) return `${seconds / size} ${unit}`;
  }
  return `${seconds} s`;
}

/** Milliseconds as a person reads them: 4.2 ms, 380 ms, 1.2 s, 45 s. */
export function milliseconds(ms) {
  if (!Number.isFinite(ms)) return NONE;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}

/** A number in at most seven characters: 218.5M. */
export function compact(text) {
  return isMissing(text) ? NONE : compactly.format(Number(text)).replace("-", MINUS);
}

/** How many decimal places a decimal text has. */
export function places(text) {
  const point = text.indexOf(".");
  return point < 0 ? 0 : text.length - point - 1;
}

/** A difference with its sign, and an arrow: colour alone says nothing to many. */
export function signed(difference, digits) {
  if (!Number.isFinite(difference)) return NONE;
  const size = Math.abs(difference).toFixed(digits);
  if (Number(size) === 0) return size;
  return difference > 0 ? `▲ +${grouped(size)}` : `▼ ${MINUS}${grouped(size)}`;
}

export function signedPercent(ratio) {
  if (!Number.isFinite(ratio)) return NONE;
  const size = percent.format(Math.abs(ratio) * 100);
  if (Number(size) === 0) return `${size} %`;
  return `${ratio > 0 ? "+" : MINUS}${size} %`;
}

const two = (number) => String(number).padStart(2, "0");

/** The time of day, on this machine's clock. */
export function clock(date) {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** The time of day, with the date if that is not today. */
export function moment(date) {
  const today = new Date().toDateString() === date.toDateString();
  return today ? clock(date) : `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(date)}`;
}
