// The price axis of the chart: which prices are in view, where they stand, and which have a label. Pure arithmetic.

const MARGIN = 0.08;
const LEAST_STEPS = 64; // between the least and the highest price in view, of numbers that a float tells apart there

/** The prices of these bars on so many pixels, with some room; null without bars. */
export function priceScale(bars, [first, last], { line, top, bottom, digits }) {
  let [low, high] = [Infinity, -Infinity];
  for (let index = first; index <= last; index += 1) {
    const bar = bars.at(index);
    low = Math.min(low, line ? bar.close : bar.low);
    high = Math.max(high, line ? bar.close : bar.high);
  }
  if (!(low <= high)) return null;
  const least = Math.max(4 * 10 ** -digits, LEAST_STEPS * Number.EPSILON * Math.max(Math.abs(low), Math.abs(high)));
  const margin = Math.max((high - low) * MARGIN, (least - (high - low)) / 2);
  [low, high] = [low - margin, high + margin];
  const down = (bottom - top) / (high - low);
  return { low, high, y: (price) => top + (high - price) * down, price: (y) => high - (y - top) / down };
}

/** Round prices between two, so many pixels apart or more. */
export function priceMarks({ low, high }, height, apart, digits) {
  const step = niceStep((high - low) / Math.max(1, height / apart), digits);
  const marks = [];
  for (let number = Math.ceil(low / step); number * step <= high; number += 1) marks.push(number * step);
  return marks;
}

/** A step of 1, 2 or 5 times a power of ten, and not finer than the prices are. */
function niceStep(rough, digits) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  return Math.max(step, 10 ** -digits);
}
