// A price's past: points of time and value, bounded. What comes within a moment of the last point replaces its value.

const MOST = 3600;
const FIRST = 256;
const MOMENT_MS = 750;

export class Ring {
  #times = new Float64Array(FIRST);
  #values = new Float64Array(FIRST);
  #start = 0;
  #opened = -Infinity; // when the last point was begun

  length = 0;

  /** Add a value at a time (ms); NaN makes a gap. */
  push(time, value) {
    if (this.length > 0) {
      const last = this.#place(this.length - 1);
      const gap = Number.isNaN(value);
      if (gap && Number.isNaN(this.#values[last])) return;
      if (!gap && time - this.#opened < MOMENT_MS && !Number.isNaN(this.#values[last])) {
        this.#times[last] = time;
        this.#values[last] = value;
        return;
      }
    } else if (Number.isNaN(value)) return;
    if (this.length === this.#times.length && this.length < MOST) this.#grow();
    if (this.length === this.#times.length) this.#start = (this.#start + 1) % this.#times.length;
    else this.length += 1;
    const place = this.#place(this.length - 1);
    this.#times[place] = time;
    this.#values[place] = value;
    this.#opened = time;
  }

  time(index) {
    return this.#times[this.#place(index)];
  }

  value(index) {
    return this.#values[this.#place(index)];
  }

  /** The first point to draw for what came after a time: the last one before it, so that a line enters from the left. */
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

  #place(index) {
    const place = this.#start + index;
    return place < this.#times.length ? place : place - this.#times.length;
  }

  #grow() {
    const size = Math.min(MOST, this.#times.length * 2);
    const [times, values] = [new Float64Array(size), new Float64Array(size)];
    times.set(this.#times); // it starts at 0 until it is as large as it gets
    values.set(this.#values);
    [this.#times, this.#values] = [times, values];
  }
}
