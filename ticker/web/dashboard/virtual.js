// Only what is visible is in the page: which lines of a long list those are, and where each of them stands.

const BEYOND = 6; // lines above and below what is visible, for the keyboard and for fast fingers

/** Heights and places of lines; pure arithmetic. */
export class Places {
  #offsets = new Float64Array(1);

  length = 0;

  /** `heightOf(line)` is the height of each line. */
  set(lines, heightOf) {
    this.length = lines.length;
    this.#offsets = new Float64Array(lines.length + 1);
    for (let index = 0; index < lines.length; index += 1) {
      this.#offsets[index + 1] = this.#offsets[index] + heightOf(lines[index]);
    }
  }

  get total() {
    return this.#offsets[this.length];
  }

  top(index) {
    return this.#offsets[index];
  }

  bottom(index) {
    return this.#offsets[index + 1];
  }

  /** The line at a height, or the nearest one; -1 if there is none. */
  at(y) {
    let low = 0;
    let high = this.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#offsets[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return this.length === 0 ? -1 : low;
  }

  /** First and last of the lines between two heights, and some around them. */
  between(top, bottom) {
    if (this.length === 0) return [0, -1];
    return [Math.max(0, this.at(top) - BEYOND), Math.min(this.length - 1, this.at(bottom) + BEYOND)];
  }
}

/**
 * The part of a scrolling box below its header that shows lines. It is asked for in each frame, and reading it may have the page
 * laid out: so it is read again only after it can have changed.
 */
export class Viewport {
  #known = false;
  #top = 0;
  #height = 0;

  constructor(scroller, heads) {
    this.scroller = scroller;
    this.heads = heads;
    scroller.addEventListener("scroll", () => this.forget(), { passive: true });
  }

  /** It may be another part from now on. */
  forget() {
    this.#known = false;
  }

  get top() {
    this.#read();
    return this.#top;
  }

  set top(value) {
    this.scroller.scrollTop = value;
    this.forget();
  }

  get height() {
    this.#read();
    return this.#height;
  }

  #read() {
    if (this.#known) return;
    this.#known = true;
    this.#top = this.scroller.scrollTop;
    this.#height = Math.max(0, this.scroller.clientHeight - this.heads.offsetHeight);
  }

  /** Scroll as little as shows this line whole. */
  reveal(top, bottom) {
    if (top < this.top) this.top = top;
    else if (bottom > this.top + this.height) this.top = bottom - this.height;
  }
}
