// The larger chart of one symbol: price over time with axes, the reference of the day's change, and a pointer.

import { clock, grouped } from "./format.js";

const RIGHT = 74;
const BOTTOM = 22;
const TOP = 8;
const LEAST_MS = 30_000;
const STEPS_MS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800].map((seconds) => seconds * 1000);

export class Chart {
  #canvas;
  #palette;
  #pointer = null;
  #size = { width: 0, height: 0 };

  quote = null;
  span = 300_000;

  /** `changed` is called when the chart has to be drawn again. */
  constructor(canvas, palette, changed) {
    this.#canvas = canvas;
    this.#palette = palette;
    new ResizeObserver(([entry]) => {
      const { width, height } = entry.contentRect;
      this.#size = { width, height };
      changed();
    }).observe(canvas.parentElement);
    palette.addEventListener("change", changed);
    canvas.addEventListener("pointermove", (event) => {
      this.#pointer = { x: event.offsetX, y: event.offsetY };
      changed();
    });
    canvas.addEventListener("pointerleave", () => {
      this.#pointer = null;
      changed();
    });
  }

  draw(now) {
    const { width, height } = this.#size;
    const scale = devicePixelRatio;
    const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.#canvas.width !== wide || this.#canvas.height !== high) {
      [this.#canvas.width, this.#canvas.height] = [wide, high];
    }
    if (width < 150 || height < 80 || this.quote === null) return;
    const context = this.#canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `11px ${this.#palette.font}`;
    const view = this.#view(now);
    if (view === null) {
      context.fillStyle = this.#palette.muted;
      context.textAlign = "center";
      context.fillText("No price yet", width / 2, height / 2);
      return;
    }
    this.#drawGrid(context, view);
    this.#drawReference(context, view);
    this.#drawLine(context, view);
    this.#drawTag(context, view);
    if (this.#pointer !== null) this.#drawPointer(context, view);
  }

  /** A description for screen readers. */
  describe(now) {
    const { history, symbol, digits } = this.quote;
    let [low, top, opening] = [Infinity, -Infinity, NaN];
    for (let index = history.from(now - this.span); index < history.length; index += 1) {
      const value = history.value(index);
      if (Number.isNaN(opening)) opening = value;
      if (value < low) low = value;
      if (value > top) top = value;
    }
    if (low > top) return `Chart of ${symbol}: no price yet`;
    const text = (value) => value.toFixed(digits);
    return `Chart of ${symbol}, last ${Math.round(this.span / 60_000)} min: from ${text(opening)} to ${text(this.quote.price)}, between ${text(low)} and ${text(top)}`;
  }

  /** The mapping of times and prices to the canvas. */
  #view(now) {
    const { history } = this.quote;
    const first = history.from(now - this.span);
    let [low, top] = [Infinity, -Infinity];
    for (let index = first; index < history.length; index += 1) {
      const value = history.value(index);
      if (value < low) low = value;
      if (value > top) top = value;
    }
    if (low > top) return null;
    const least = 4 * 10 ** -this.quote.digits;
    const margin = Math.max((top - low) * 0.08, (least - (top - low)) / 2);
    [low, top] = [low - margin, top + margin];
    const { width, height } = this.#size;
    // A history shorter than the span is stretched.
    const start = Math.max(now - this.span, Math.min(history.time(first), now - LEAST_MS));
    const [across, down] = [(width - RIGHT) / (now - start), (height - BOTTOM - TOP) / (top - low)];
    return {
      ...{ first, low, top, start, now, right: width - RIGHT, bottom: height - BOTTOM },
      x: (time) => Math.max(0, (time - start) * across),
      y: (value) => TOP + (top - value) * down,
      time: (x) => start + x / across,
    };
  }

  #drawGrid(context, view) {
    const { palette, digits } = { palette: this.#palette, digits: this.quote.digits };
    context.strokeStyle = palette.line;
    context.fillStyle = palette.muted;
    context.lineWidth = 1;
    context.textAlign = "left";
    context.textBaseline = "middle";
    const step = niceStep((view.top - view.low) / Math.max(2, view.bottom / 52), digits);
    context.beginPath();
    for (let value = Math.ceil(view.low / step) * step; value < view.top; value += step) {
      const y = Math.round(view.y(value)) + 0.5;
      context.moveTo(0, y);
      context.lineTo(view.right, y);
      // The tag of the present price would lie over a label as near as this.
      if (!(Math.abs(y - view.y(this.quote.price)) < 15)) context.fillText(grouped(value.toFixed(digits)), view.right + 8, y);
    }
    context.textAlign = "center";
    const every = STEPS_MS.find((each) => (view.now - view.start) / each <= Math.max(2, view.right / 90)) ?? STEPS_MS.at(-1);
    for (let time = Math.ceil(view.start / every) * every; time < view.now; time += every) {
      const x = Math.round(view.x(time)) + 0.5;
      context.moveTo(x, 0);
      context.lineTo(x, view.bottom);
      if (x > 26 && x < view.right - 16) context.fillText(clock(new Date(time)), x, view.bottom + 13);
    }
    context.stroke();
  }

  #drawReference(context, view) {
    const { reference } = this.quote;
    if (!(reference > view.low && reference < view.top)) return;
    const y = Math.round(view.y(reference)) + 0.5;
    context.strokeStyle = this.#palette.muted;
    context.setLineDash([2, 4]);
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(view.right, y);
    context.stroke();
    context.setLineDash([]);
  }

  #drawLine(context, view) {
    const { history } = this.quote;
    const path = new Path2D();
    const area = new Path2D();
    let [previous, entered] = [NaN, 0];
    const leave = (x) => {
      path.lineTo(x, view.y(previous));
      area.lineTo(x, view.y(previous));
      area.lineTo(x, view.bottom);
      area.lineTo(entered, view.bottom);
      area.closePath();
    };
    for (let index = view.first; index < history.length; index += 1) {
      const [x, value] = [view.x(history.time(index)), history.value(index)];
      if (Number.isNaN(value)) {
        if (!Number.isNaN(previous)) leave(x);
      } else if (Number.isNaN(previous)) {
        entered = x;
        for (const each of [path, area]) each.moveTo(x, view.y(value));
      } else {
        for (const each of [path, area]) {
          each.lineTo(x, view.y(previous));
          each.lineTo(x, view.y(value));
        }
      }
      previous = value;
    }
    if (!Number.isNaN(previous)) leave(view.right);
    context.fillStyle = context.strokeStyle = this.#palette.accent;
    context.globalAlpha = 0.12;
    context.fill(area);
    context.globalAlpha = 1;
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.stroke(path);
  }

  #drawTag(context, view) {
    const { price, digits } = this.quote;
    if (!(price >= view.low && price <= view.top)) return;
    this.#label(context, view.right + 3, view.y(price), grouped(price.toFixed(digits)), this.#palette.accent);
  }

  #drawPointer(context, view) {
    const { history, digits } = this.quote;
    const x = Math.min(this.#pointer.x, view.right);
    const time = view.time(x);
    let index = history.from(time);
    if (index + 1 < history.length && history.time(index + 1) <= time) index += 1;
    const value = history.value(index);
    context.strokeStyle = this.#palette.text;
    context.lineWidth = 0.5;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, view.bottom);
    context.stroke();
    context.fillStyle = this.#palette.text;
    context.textAlign = x > view.right / 2 ? "right" : "left";
    const known = !Number.isNaN(value) && history.time(index) <= time;
    if (known) {
      context.beginPath();
      context.arc(x, view.y(value), 3, 0, 7);
      context.fill();
    }
    const text = `${clock(new Date(time))}   ${known ? grouped(value.toFixed(digits)) : "not known"}`;
    context.fillText(text, x + (x > view.right / 2 ? -8 : 8), TOP + 8);
  }

  #label(context, x, y, text, colour) {
    context.fillStyle = colour;
    context.beginPath();
    context.roundRect(x, y - 9, RIGHT - 4, 18, 3);
    context.fill();
    context.fillStyle = this.#palette.surface;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(text, x + 5, y + 0.5);
  }
}

/** A step of 1, 2 or 5 times a power of ten, and not finer than the prices are. */
function niceStep(rough, digits) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  return Math.max(step, 10 ** -digits);
}
