// The numbers of one bar above the chart: of the one that is pointed at, or else of the last one.

import { compact, grouped, signedPercent } from "./format.js";
import { barTime } from "./time_scale.js";

const PARTS = [["open", "O", "open"], ["high", "H", "high"], ["low", "L", "low"], ["close", "C", "close"], ["change", "", "change"], ["volume", "Vol", "volume"]];

export class Legend {
  #time = document.createElement("time");
  #values = new Map();

  constructor(element) {
    this.element = element;
    element.append(this.#time);
    for (const [part, letter, title] of PARTS) {
      const [pair, term, value] = ["span", "abbr", "b"].map((name) => document.createElement(name));
      pair.className = part;
      term.textContent = letter;
      term.title = title;
      if (letter) pair.append(term, " ");
      pair.append(value);
      element.append(pair);
      this.#values.set(part, value);
    }
  }

  /** Show a bar, with what it changed from the close before. */
  show(bar, before, seconds) {
    this.element.hidden = bar === undefined;
    if (bar === undefined) return;
    const { candle } = bar;
    write(this.#time, barTime(bar.start, seconds));
    for (const part of ["open", "high", "low", "close"]) write(this.#values.get(part), grouped(candle[part]));
    const change = bar.close - (before ?? bar).close;
    write(this.#values.get("change"), before === undefined ? "" : signedPercent(change / Math.abs(before.close)));
    this.element.dataset.move = before === undefined || change === 0 ? "" : change > 0 ? "up" : "down";
    write(this.#values.get("volume"), candle.volume === null ? "" : compact(candle.volume));
    this.#values.get("volume").parentElement.hidden = candle.volume === null;
    this.#values.get("volume").title = candle.volume === null ? "" : grouped(candle.volume);
  }

  /** The same in a sentence, for screen readers. */
  read(bar, seconds) {
    const { open, high, low, close, volume } = bar.candle;
    const traded = volume === null ? "" : `, volume ${grouped(volume)}`;
    return `${barTime(bar.start, seconds)}: open ${grouped(open)}, high ${grouped(high)}, low ${grouped(low)}, close ${grouped(close)}${traded}`;
  }
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
