// How numbers and times are written.

const compactly = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
const percent = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const NONE = "–";
const MINUS = "−";

/** An exact decimal text with its thousands set apart, where there are many. */
export function grouped(text) {
  if (text === undefined || text === null) return NONE;
  const point = text.indexOf(".");
  const whole = point < 0 ? text : text.slice(0, point);
  if (whole.length < 5) return text;
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (point < 0 ? "" : text.slice(point));
}

/** A duration in the largest unit that fits: 15 min. */
export function duration(seconds) {
  for (const [size, unit] of [[3600, "h"], [60, "min"]]) {
    if (seconds && seconds % size === 0) return `${seconds / size} ${unit}`;
  }
  return `${seconds} s`;
}

/** A number in at most six characters: 218.5M. */
export function compact(text) {
  return text === undefined || text === null ? NONE : compactly.format(Number(text));
}

/** How many decimal places a decimal text has. */
export function places(text) {
  const point = text.indexOf(".");
  return point < 0 ? 0 : text.length - point - 1;
}

/** A difference with its sign, and an arrow: colour alone says nothing to many. */
export function signed(difference, digits) {
  if (Number.isNaN(difference)) return NONE;
  const size = Math.abs(difference).toFixed(digits);
  if (Number(size) === 0) return size;
  return difference > 0 ? `▲ +${size}` : `▼ ${MINUS}${size}`;
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
