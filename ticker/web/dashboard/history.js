// History of a price: a bounded ring of points (time, value). A price soon after the last point replaces its value.

const MAX_POINTS = 3600;
const INITIAL_SIZE = 256;
const MERGE_MS = 750;

export class PriceHistory {
  #times = new Float64Array(INITIAL_SIZE);
  #values = new Float64Array(INITIAL_SIZE);
  #start = 0;
  #opened = -Infinity; // time of the last point's first price

  length = 0;

  /** Add a value at a time (ms); NaN makes a gap. */
  push(time, value) {
    if (this.length > 0) {
      const last = this.#index(this.length - 1);
      const gap = Number.isNaN(value);
      if (gap && Number.isNaN(this.#values[last])) return;
      if (!gap && time - this.#opened < MERGE_MS && !Number.isNaN(this.#values[last])) {
        this.#times[last] = time;
        this.#values[last] = value;
        return;
      }
    } else if (Number.isNaN(value)) return;
    if (this.length === this.#times.length && this.length < MAX_POINTS) this.#grow();
    if (this.length === this.#times.length) this.#start = (this.#start + 1) % this.#times.length;
    else this.length += 1;
    const at = this.#index(this.length - 1);
    this.#times[at] = time;
    this.#values[at] = value;
    this.#opened = time;
  }

  time(index) {
    return this.#times[this.#index(index)];
  }

  value(index) {
    return this.#values[this.#index(index)];
  }

  /** Index of the first point to draw after a time: the one before it, so that a line enters from the left. */
  from(time) {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.time(middle) < time) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  #index(index) {
    const at = this.#start + index;
    return at < this.#times.length ? at : at - this.#times.length;
  }

  #grow() {
    const size = Math.min(MAX_POINTS, this.#times.length * 2);
    const [times, values] = [new Float64Array(size), new Float64Array(size)];
    times.set(this.#times); // it starts at 0 until it is as large as it gets
    values.set(this.#values);
    [this.#times, this.#values] = [times, values];
  }
}
