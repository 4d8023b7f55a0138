// How far behind the market this page is: the time from a change at the service to its painting here.
//
// The two clocks differ, nobody knows by how much. So the least difference that was seen lately stands for a change that came
// without any delay but half of the round trip; what a later one took more, the page is behind.

const WINDOW_MS = 60_000;

export class Lag {
  #least = [Infinity, Infinity]; // of the present window, and of the one before
  #windowAt = 0;
  #waiting = NaN; // the service's time of the latest change that is not painted yet
  #worst = NaN; // since it was read

  roundTrip = NaN;

  /** A change has come, of this time of the service's clock (ms). */
  changed(time, now) {
    if (now - this.#windowAt > WINDOW_MS) {
      this.#least = [Infinity, this.#least[0]];
      this.#windowAt = now;
    }
    this.#least[0] = Math.min(this.#least[0], now - time);
    this.#waiting = Number.isNaN(this.#waiting) ? time : this.#waiting;
  }

  /** All changes that have come are painted. */
  painted(now) {
    if (Number.isNaN(this.#waiting)) return;
    const took = now - this.#waiting - Math.min(...this.#least);
    this.#waiting = NaN;
    if (!(took <= this.#worst)) this.#worst = took;
  }

  /** The largest delay since this was read before, in milliseconds; NaN if it is not known. */
  read(now) {
    const waits = Number.isNaN(this.#waiting) ? 0 : now - this.#waiting - Math.min(...this.#least);
    const worst = Math.max(Number.isNaN(this.#worst) ? 0 : this.#worst, waits);
    this.#worst = NaN;
    return worst + this.roundTrip / 2;
  }

  /** Another connection: what was measured is of the one before. */
  reset() {
    this.#least = [Infinity, Infinity];
    this.#waiting = this.#worst = this.roundTrip = NaN;
  }
}
