/**
 * The times of bars: when one is over, and the bars of periods in which nothing was traded.
 *
 * The start of a bar is its true one. Hours and shorter periods all have one length; a day, in a zone with daylight-saving
 * time, may have 23 or 25 hours, and which zone the service has is not known here.
 */

/** @typedef {import("./rows.js").Bar} Bar */

const HOUR = 3600;
const DAY = 24 * HOUR;
/** @type {Record<string, number>} */
const UNITS = { s: 1, m: 60, h: HOUR, d: DAY };

/**
 * The length of a period such as `1m`, in seconds.
 * @param {string} period
 */
export const periodSeconds = (period) => Number(period.slice(0, -1)) * UNITS[period.slice(-1)];

/**
 * The time at which a bar is over for certain, if no later one says so before. A day that does not begin at midnight UTC
 * may have 25 hours.
 * @param {number} start
 * @param {number} seconds
 */
export const barEnd = (start, seconds) => start + seconds + (seconds % DAY === 0 && start % DAY !== 0 ? HOUR : 0);

/**
 * The latest bars, at most `most`, with one for each period up to `now` in which there is none. Days are taken as 24 hours
 * long between two bars: the start of a filled one may be an hour off.
 * @param {readonly Bar[]} bars in ascending order
 * @param {number} seconds
 * @param {number} now in seconds
 * @param {number} most
 * @param {(bar: Bar, start: number) => Bar} emptyBar the bar of a period behind this one in which nothing was traded
 */
export function filled(bars, seconds, now, most, emptyBar) {
  /** @type {Bar[]} */
  const found = [];
  let later = 0; // start of the next bar
  for (let index = bars.length - 1; index >= 0 && found.length < most; index--) {
    const bar = bars[index];
    // A gap of less than half a period is a longer day.
    const empty = index === bars.length - 1 ? Math.floor((now - bar.start) / seconds)
      : Math.floor((later - bar.start - Math.floor((seconds + 1) / 2)) / seconds);
    for (let number = empty; number > 0 && found.length < most; number--) found.push(emptyBar(bar, bar.start + number * seconds));
    if (found.length < most) found.push(bar);
    later = bar.start;
  }
  return found.reverse();
}
