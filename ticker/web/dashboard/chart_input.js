// The chart by pointer, wheel, touch and keys: a place to point at, and moves of its time scale.

const WHEEL = 0.0016;
const KEY_ZOOM = 1.25;
const TAP_PX = 6;

/**
 * Listen to what a user does with a chart. `chart` has `pointAt(x, y)`, `leave()`, `pan(pixels)`, `zoom(factor, x)`, `step(bars)`,
 * `page(pages)`, `first()` and `latest()`.
 */
export function listen(box, chart) {
  new Pointers(box, chart);
  box.addEventListener("wheel", (event) => wheel(event, chart), { passive: false });
  box.addEventListener("keydown", (event) => press(event, chart));
  box.addEventListener("blur", () => chart.leave());
}

function wheel(event, chart) {
  event.preventDefault();
  const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) chart.pan(-(event.deltaX || event.deltaY) * unit);
  else chart.zoom(Math.exp(-event.deltaY * unit * WHEEL), event.offsetX);
}

const KEYS = {
  ArrowLeft: (chart, many) => chart.step(many ? -10 : -1),
  ArrowRight: (chart, many) => chart.step(many ? 10 : 1),
  PageUp: (chart) => chart.page(-1),
  PageDown: (chart) => chart.page(1),
  Home: (chart) => chart.first(),
  End: (chart) => chart.latest(),
  "+": (chart) => chart.zoom(KEY_ZOOM),
  "=": (chart) => chart.zoom(KEY_ZOOM),
  "-": (chart) => chart.zoom(1 / KEY_ZOOM),
};

function press(event, chart) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target !== event.currentTarget) return;
  const act = event.key === "Escape" && chart.pointed ? () => chart.leave() : KEYS[event.key];
  if (act === undefined) return;
  event.preventDefault();
  act(chart, event.shiftKey);
}

/** One pointer drags, two pinch; a mouse points where it is, a finger where it taps. */
class Pointers {
  #down = new Map();
  #moved = 0;

  constructor(box, chart) {
    this.chart = chart;
    box.addEventListener("pointerdown", (event) => this.#press(event, box));
    box.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) box.addEventListener(name, (event) => this.#release(event));
    box.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && this.#down.size === 0) chart.leave();
    });
  }

  #press(event, box) {
    if (event.button !== 0 || event.target.closest("button")) return;
    this.#down.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    this.#moved = 0;
    box.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const place = { x: event.offsetX, y: event.offsetY };
    const before = this.#down.get(event.pointerId);
    if (before === undefined) {
      if (event.pointerType === "mouse" && event.target.tagName === "CANVAS") this.chart.pointAt(place.x, place.y);
      return;
    }
    const [width, middle] = this.#spread();
    this.#down.set(event.pointerId, place);
    this.#moved += Math.abs(place.x - before.x);
    if (this.#down.size === 2) {
      const [wider, shifted] = this.#spread();
      this.chart.zoom(wider / width, middle);
      this.chart.pan(shifted - middle);
    } else if (this.#moved > TAP_PX) {
      this.chart.pan(place.x - before.x);
      if (event.pointerType === "mouse") this.chart.pointAt(place.x, place.y);
    }
  }

  /** The distance between two pointers, and their middle. */
  #spread() {
    const [one, other = one] = [...this.#down.values()];
    return [Math.max(10, Math.abs(one.x - other.x)), (one.x + other.x) / 2];
  }

  #release(event) {
    const last = this.#down.get(event.pointerId);
    if (!this.#down.delete(event.pointerId) || event.pointerType === "mouse" || event.type === "pointercancel") return;
    if (this.#moved <= TAP_PX) this.chart.pointAt(last.x, last.y);
  }
}
