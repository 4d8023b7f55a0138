// The time axis of the chart: bars stand side by side, whatever time lies between them. Pure arithmetic.

const SPACING = { least: 1.2, usual: 6, most: 48 };
const ROOM = 4; // bars of room behind the last one
const DAY = 86_400;
const MINUTES = [360, 180, 60, 30, 15, 5]; // each divides the one before

/** Which bars are where: pixels for each bar, and how far the last one is from the right edge. */
export class TimeScale {
  #width = 0;
  #length = 0;
  #spacing = SPACING.usual;
  #offset = ROOM; // bars between the last one and the right edge; negative where one looks back

  /** The width in pixels and the number of bars. */
  fit(width, length) {
    this.#width = width;
    this.#length = length;
    this.#clamp();
  }

  get spacing() {
    return this.#spacing;
  }

  /** Whether the last bar is in view. */
  get atEnd() {
    return this.#offset >= 0;
  }


  /** How many bars fit. */
  get visible() {
    return this.#width / this.#spacing;
  }

  /** The middle of a bar. */
  x(index) {
    return this.#width - (this.#length - 1 - index + this.#offset + 0.5) * this.#spacing;
  }

  /** The bar at a place; it may be before the first or behind the last one. */
  indexAt(x) {
    return Math.round(this.#length - 1 + this.#offset + 0.5 - (this.#width - x) / this.#spacing);
  }

  /** First and last bar in view, those that are cut included; none if the last is before the first. */
  get range() {
    return [Math.max(0, this.indexAt(0) - 1), Math.min(this.#length - 1, this.indexAt(this.#width) + 1)];
  }

  /** Whether one looks where bars before the first one would be, or soon will. */
  get wantsOlder() {
    return this.indexAt(0) < this.visible;
  }

  /** Make bars wider or narrower by a factor; the one at this place stays there. */
  zoom(factor, x = this.x(this.#length - 1)) {
    const spacing = Math.min(SPACING.most, Math.max(SPACING.least, this.#spacing * factor));
    const behind = this.#width - x;
    this.#offset += behind / spacing - behind / this.#spacing;
    this.#spacing = spacing;
    this.#clamp();
  }

  /** Move the bars to the right by so many pixels. */
  pan(pixels) {
    this.#offset -= pixels / this.#spacing;
    this.#clamp();
  }

  /** Bars came at the end: where one looks back, what is in view stays. */
  append(count) {
    if (this.#offset < 0) this.#offset -= count;
  }

  showLatest() {
    this.#offset = ROOM;
  }

  /** Scroll as little as brings a bar into view. */
  reveal(index) {
    const x = this.x(index);
    const half = this.#spacing / 2;
    if (x - half < 0) this.pan(half - x);
    else if (x + half > this.#width) this.pan(this.#width - half - x);
  }

  #clamp() {
    const least = Math.min(0, this.visible / 2 - this.#length);
    this.#offset = Math.max(least, Math.min(this.visible * 0.7, this.#offset));
  }
}

/** Whether bars are days or longer. */
export const isDaily = (seconds) => seconds >= DAY;

/** The date of a bar: of a day, whichever hour of which zone it begins at, the one in which most of it lies. */
export function dateOf(start, seconds) {
  return isDaily(seconds) ? dayOf(start) : new Date(start * 1000);
}

function dayOf(start) {
  const day = new Date((start + DAY / 2) * 1000);
  return new Date(day.getUTCFullYear(), day.getUTCMonth(), day.getUTCDate());
}

/**
 * The bars that get a label, with its text: at the beginnings of years, months, days and round times, no two nearer than `least`
 * bars.
 */
export function timeMarks(bars, [first, last], seconds, least) {
  const ranked = [];
  let before = first > 0 ? dateOf(bars.at(first - 1).start, seconds) : null;
  for (let index = first; index <= last; index += 1) {
    const date = dateOf(bars.at(index).start, seconds);
    if (before !== null) ranked.push({ index, date, rank: rankOf(before, date) });
    before = date;
  }
  // Only ranks that are far enough from each other on the whole, so that labels do not jump as the chart is moved.
  let threshold = Infinity;
  for (let rank = 9; rank >= 0; rank -= 1) {
    const count = ranked.filter((each) => each.rank >= rank).length;
    if (count > Math.max(1, ranked.length / least)) break;
    threshold = rank;
  }
  const taken = [];
  for (const each of ranked.filter(({ rank }) => rank >= threshold).sort((one, other) => other.rank - one.rank || one.index - other.index)) {
    if (taken.every(({ index }) => Math.abs(index - each.index) >= least)) taken.push(each);
  }
  return taken.map(({ index, date, rank }) => ({ index, text: markText(date, rank, seconds), strong: rank >= 7 }));
}

function rankOf(before, date) {
  if (before.getFullYear() !== date.getFullYear()) return 9;
  if (before.getMonth() !== date.getMonth()) return 8;
  if (before.getDate() !== date.getDate()) return 7;
  const [one, other] = [before, date].map((each) => each.getHours() * 60 + each.getMinutes());
  const crossed = MINUTES.findIndex((minutes) => Math.floor(one / minutes) !== Math.floor(other / minutes));
  return crossed < 0 ? 0 : MINUTES.length - crossed;
}

const two = (number) => String(number).padStart(2, "0");
const month = new Intl.DateTimeFormat("en", { month: "short" });

function markText(date, rank, seconds) {
  if (rank === 9) return String(date.getFullYear());
  if (rank === 8) return month.format(date);
  if (rank === 7) return `${date.getDate()} ${month.format(date)}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return seconds < 60 && rank === 0 ? `${time}:${two(date.getSeconds())}` : time;
}

/** The time of a bar: of one of today without the date. */
export function barTime(start, seconds, now = new Date()) {
  const date = dateOf(start, seconds);
  const year = date.getFullYear() === now.getFullYear() ? "" : ` ${date.getFullYear()}`;
  const day = `${date.getDate()} ${month.format(date)}${year}`;
  if (isDaily(seconds)) return day;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}${seconds < 60 ? `:${two(date.getSeconds())}` : ""}`;
  return date.toDateString() === now.toDateString() ? time : `${day} ${time}`;
}
