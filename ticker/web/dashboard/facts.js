// All values of an instrument, exactly as they were sent.

import { grouped, moment } from "./format.js";

const TITLES = {
  bid: "Bid",
  bid_size: "Bid size",
  ask: "Ask",
  ask_size: "Ask size",
  last_size: "Last size",
  open: "Open",
  high: "High",
  low: "Low",
  prev_close: "Previous close",
  volume: "Volume",
  trade_count: "Trades",
};
const ELSEWHERE = ["last", "time", "status", "reason"];

export class Facts {
  #places = new Map(); // by field: where its value stands

  constructor(list) {
    this.list = list;
  }

  clear() {
    this.#places.clear();
    this.list.replaceChildren();
  }

  paint({ values }) {
    for (const [name, title] of Object.entries(TITLES)) {
      const value = values[name];
      if (value !== undefined || this.#places.has(name)) this.#write(name, title, grouped(value === undefined ? undefined : String(value)));
    }
    for (const name in values) {
      if (!(name in TITLES) && !ELSEWHERE.includes(name)) this.#write(name, name, String(values[name]));
    }
    if (values.time !== undefined) this.#write("time", "Exchange time", moment(new Date(values.time / 1000)));
  }

  #write(name, title, text) {
    let place = this.#places.get(name);
    if (place === undefined) {
      const [pair, term] = [document.createElement("div"), document.createElement("dt")];
      place = document.createElement("dd");
      term.textContent = title;
      pair.append(term, place);
      this.list.append(pair);
      this.#places.set(name, place);
    }
    if (place.textContent !== text) place.textContent = text;
  }
}
