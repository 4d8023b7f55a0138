// The tape: the latest trades of a symbol, the last one on top, and how many are not shown where prints were skipped.

import { clock, grouped, moment } from "./format.js";
import { unlessAllowed } from "./http.js";
import { MarketTable } from "./market_table.js";

const SHOWN = 50;
const SIDES = { buy: ["▲", "bought"], sell: ["▼", "sold"] };

export class Tape {
  #table;
  #quote = null;
  #prints = []; // those shown, the last one last; each knows how many are lost before it
  #rows = []; // of the page, the top one first
  #numbers = new WeakMap(); // by row: the print that it shows

  /** `page` has the elements `tape`, `tapeCaption`, `tapeTable` and `tapeRows`. */
  constructor(page, changed) {
    this.page = page;
    this.#table = new MarketTable(page.tape, changed);
  }

  /** The most characters that a row has had, without its time. */
  length = 0;

  get dirty() {
    return this.#table.dirty;
  }

  /** The last trade; undefined if there is none. */
  get last() {
    return this.#prints.at(-1);
  }

  show(client, quote) {
    this.#quote = quote;
    this.#prints = [];
    this.length = 0;
    if (client === null || quote === null) {
      this.#table.follow(null);
      return;
    }
    const counts = client.features.trades;
    if (counts.length === 0) {
      this.#table.follow(null, "This service has no trades.");
      return;
    }
    const trades = this.#table.follow(() => client.trades(quote.symbol, counts.find((count) => count >= SHOWN) ?? counts.at(-1)));
    trades?.addEventListener("change", (event) => this.#take(event.trades));
  }

  touch() {
    this.#table.touch();
  }

  #take(trades) {
    for (const trade of trades) {
      this.length = Math.max(this.length, grouped(trade.price).length + grouped(trade.size).length);
      if (trade.restarted && this.#prints.length > 0) this.#prints = [];
      const at = trade.correction ? this.#prints.findIndex(({ number }) => number === trade.number) : -1;
      if (at >= 0) this.#prints[at] = { ...trade, missed: this.#prints[at].missed, correction: true };
      else if (!trade.correction) this.#prints.push(trade);
    }
    if (this.#prints.length > SHOWN) this.#prints.splice(0, this.#prints.length - SHOWN);
  }

  paint() {
    this.#table.painted();
    const { page } = this;
    write(page.tapeCaption, `Trades of ${this.#quote.symbol}`);
    const isEmpty = this.#prints.length === 0;
    this.#table.describe({ nothing: isEmpty ? `No trade of ${this.#quote.symbol} since the service began${unlessAllowed("them")}.` : "", quote: this.#quote });
    page.tapeTable.hidden = isEmpty;
    this.#place(this.#entries());
  }

  /** What stands in the rows, the top one first: prints, and numbers of prints that are missing. */
  #entries() {
    const entries = [];
    for (let index = this.#prints.length - 1; index >= 0 && entries.length < SHOWN; index -= 1) {
      const print = this.#prints[index];
      entries.push({ key: `${print.number}`, print });
      if (print.missed > 0) entries.push({ key: `before ${print.number}`, missed: print.missed });
    }
    return entries;
  }

  /** Reuse the rows that show the same still; new ones come on top, taken from the bottom. */
  #place(entries) {
    const body = this.page.tapeRows;
    const kept = new Set(entries.map(({ key }) => key));
    const byKey = new Map();
    const free = [];
    for (const row of this.#rows) {
      const { key } = this.#numbers.get(row);
      if (kept.has(key)) byKey.set(key, row);
      else free.push(row);
    }
    const rows = entries.map((entry) => {
      const row = byKey.get(entry.key) ?? free.pop() ?? document.createElement("tr");
      if (this.#numbers.get(row)?.print !== entry.print || this.#numbers.get(row)?.key !== entry.key) paintEntry(row, entry);
      this.#numbers.set(row, entry);
      return row;
    });
    for (const row of free) row.remove();
    let at = body.firstElementChild;
    for (const row of rows) {
      if (row === at) at = at.nextElementSibling;
      else body.insertBefore(row, at);
    }
    this.#rows = rows;
  }
}

function paintEntry(row, { print, missed }) {
  if (missed !== undefined) {
    const cell = cellsOf(row, 1)[0];
    cell.colSpan = 3;
    row.className = "missed";
    row.dataset.side = row.title = "";
    cell.textContent = `+${missed.toLocaleString("en")} more`;
    return;
  }
  const [time, price, size] = cellsOf(row, 3);
  time.colSpan = 1;
  const [arrow, word] = SIDES[print.side] ?? ["", "side unknown"];
  const isVoid = Number(print.size) === 0;
  row.className = isVoid ? "void" : print.correction ? "corrected" : "";
  row.dataset.side = print.side ?? "";
  row.title = `${moment(print.time)}, ${word}${isVoid ? ", declared void by the venue" : print.correction ? ", corrected by the venue" : ""}`;
  time.textContent = clock(print.time);
  price.textContent = `${arrow} ${grouped(print.price)}`;
  price.setAttribute("aria-label", `${word} at ${grouped(print.price)}`);
  size.textContent = isVoid ? "void" : grouped(print.size);
}

function cellsOf(row, count) {
  while (row.cells.length > count) row.lastElementChild.remove();
  while (row.cells.length < count) row.append(document.createElement("td"));
  return [...row.cells];
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
