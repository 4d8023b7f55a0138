// The panel of the chosen symbol: its chart and all its values, exactly as they were sent.

import { Chart } from "./chart.js";
import { grouped, moment } from "./format.js";

const EVERY_MS = 100;
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

export class Detail {
  #chart;
  #drawnAt = 0;
  #describedAt = 0;
  #facts = new Map();
  #dirty = true;

  constructor(page, palette, facts, changed) {
    this.page = page;
    this.facts = facts;
    this.#chart = new Chart(page.chart, palette, () => {
      this.#dirty = true;
      this.#drawnAt = 0;
      changed();
    });
    page.spans.addEventListener("change", (event) => {
      this.#chart.span = Number(event.target.value) * 1000;
      this.#dirty = true;
      this.#drawnAt = 0;
      changed();
    });
  }

  get quote() {
    return this.#chart.quote;
  }

  show(quote) {
    this.#chart.quote = quote;
    this.page.detail.hidden = quote === null;
    this.#facts.clear();
    this.page.facts.replaceChildren();
    this.#drawnAt = 0;
    this.#describedAt = 0;
  }

  paint(now) {
    if (this.quote === null || now - this.#drawnAt < EVERY_MS) return;
    this.#drawnAt = now;
    this.#chart.draw(Date.now());
    this.#paintTexts();
    if (now - this.#describedAt < 5000) return;
    this.#describedAt = now;
    this.page.chart.setAttribute("aria-label", this.#chart.describe(Date.now()));
  }

  #paintTexts() {
    const { page, quote } = this;
    const { values } = quote;
    write(page.detailSymbol, quote.symbol);
    write(page.detailName, this.facts.description(quote.symbol));
    const price = values.last ?? (Number.isNaN(quote.price) ? undefined : quote.price.toFixed(quote.digits));
    write(page.detailLast, grouped(price));
    write(page.detailChange, `${quote.changeText}  ${quote.percentText}`);
    page.detailChange.dataset.move = quote.change > 0 ? "up" : quote.change < 0 ? "down" : "";
    const remarks = [...quote.remarks, ...(quote.since && quote.remarks.length > 0 ? [`since ${moment(quote.since)}`] : [])];
    page.detailBadge.hidden = remarks.length === 0;
    write(page.detailBadge, remarks.join(" · "));
    for (const [name, title] of Object.entries(TITLES)) {
      const value = values[name];
      if (value !== undefined || this.#facts.has(name)) this.#fact(name, title, grouped(value === undefined ? undefined : String(value)));
    }
    for (const name in values) {
      if (!(name in TITLES) && !["last", "time", "status", "reason"].includes(name)) this.#fact(name, name, String(values[name]));
    }
    if (values.time !== undefined) this.#fact("time", "Exchange time", moment(new Date(values.time / 1000)));
  }

  #fact(name, title, text) {
    let place = this.#facts.get(name);
    if (place === undefined) {
      const [pair, term] = [document.createElement("div"), document.createElement("dt")];
      place = document.createElement("dd");
      term.textContent = title;
      pair.append(term, place);
      this.page.facts.append(pair);
      this.#facts.set(name, place);
    }
    write(place, text);
  }
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
