// What the ladder and the tape have in common: a table of the service for one symbol, and a line that says what is wrong with it.

import { moment, spaced } from "./format.js";
import { replaced } from "./replaced.js";
import { reasonOf } from "./room.js";

/** One reader at a time, and the words for its state. */
export class MarketTable {
  #reader = null;
  #complete = false;
  #problem = "";
  #since = null;
  #status = "";
  #dirty = true;
  #shown = "";

  /** `section` has a line for its state (`.state`); `changed` is called when it has to be painted again. */
  constructor(section, changed) {
    this.section = section;
    this.line = section.querySelector(".market-state");
    this.changed = changed;
  }

  /** Whether it has to be painted again: its rows changed, or its status alone, of which a table of trades tells nobody. */
  get dirty() {
    return this.#dirty || this.#shown !== shownStatus(this.#reader);
  }

  /** It has been painted. */
  painted() {
    this.#dirty = false;
    this.#shown = shownStatus(this.#reader);
  }

  get reader() {
    return this.#reader;
  }

  /** Whether the service has said what it has. */
  get complete() {
    return this.#complete;
  }

  get problem() {
    return this.#problem;
  }

  /** Read the table that `open` subscribes, or none, for a reason. Returns it, if the connection has room for it. */
  follow(open, problem = "") {
    let reader = null;
    try {
      reader = replaced(this.#reader, () => open?.() ?? null);
    } catch (error) {
      problem = reasonOf(error);
    }
    this.#reader = reader;
    this.#complete = false;
    this.#problem = problem;
    this.#since = null;
    this.#status = "";
    this.touch();
    if (reader === null) return null;
    reader.addEventListener("change", () => reader === this.#reader && this.touch());
    const settle = (text) => {
      if (reader !== this.#reader) return;
      this.#complete = true;
      this.#problem = text;
      this.touch();
    };
    reader.complete().then(() => settle(""), (error) => settle(reasonOf(error)));
    return reader;
  }

  touch() {
    this.#dirty = true;
    this.changed();
  }

  /** Say the state: why there is nothing, or that what is shown is not current, and since when. */
  describe({ nothing, quote }) {
    const { status, text } = this.#state(nothing, quote);
    this.section.dataset.status = status;
    this.line.hidden = text === "";
    if (this.line.textContent !== text) this.line.textContent = text;
  }

  #state(nothing, quote) {
    const reader = this.#reader;
    if (this.#problem || reader === null) return { status: "none", text: this.#problem };
    if (!this.#complete) return { status: "none", text: "Reading…" };
    const status = reader.status === "live" && quote.status !== "live" && reader.reason === undefined ? quote.status : reader.status;
    if (status !== this.#status) {
      // The first one is older than this page: when it began, only the instrument may tell.
      this.#since = this.#status === "" || status === quote.status ? quote.since : reader.time;
      this.#status = status;
    }
    if (nothing) return { status: "none", text: nothing };
    if (status === "live") return { status, text: "" };
    const since = this.#since === null ? [] : [`since ${moment(this.#since)}`];
    return { status, text: [status, spaced(reader.reason ?? quote.values.reason), ...since].filter(Boolean).join(" · ") };
  }
}

const shownStatus = (reader) => (reader === null ? "" : `${reader.status} ${reader.reason}`);
