// The ladder: the best levels of an order book, grouped by a price step, with the last trade and the spread between them.

import { difference, groupOf, groupsOf, stepsFor } from "./book_groups.js";
import { scaleOf } from "./decimals.js";
import { grouped } from "./format.js";
import { unlessAllowed } from "./http.js";
import { MarketTable } from "./market_table.js";
import { load, save } from "./storage.js";

const LEVELS = 10;
const GROUPED_DEPTH = 100;
const KEY = "ticker.book";
const VERSION = 1;
const isMultiple = (value) => Number.isSafeInteger(value) && value >= 1 && value <= 10_000;

export class Ladder {
  #table;
  #client = null;
  #quote = null;
  #rows = { asks: [], bids: [] };
  #multiple = load(KEY, VERSION, isMultiple) ?? 1;
  #steps = "";
  #levels = 0; // of the deeper side: so many rows stand for each, and no fewer later, so that nothing jumps

  /** `page` has the elements `book`, `bookCaption`, `bookStep`, `bookAsks`, `bookBids`, `bookSpread` and `bookLast`. */
  constructor(page, changed) {
    this.page = page;
    this.#table = new MarketTable(page.book, changed);
    this.#makeRows("asks", page.bookAsks);
    this.#makeRows("bids", page.bookBids);
    page.bookStep.addEventListener("change", () => {
      this.#multiple = Number(page.bookStep.value);
      save(KEY, VERSION, this.#multiple);
      this.#follow();
    });
  }

  get dirty() {
    return this.#table.dirty;
  }

  /** The most characters that a row has had, without and with its sum. */
  lengths = { row: 0, sum: 0 };

  /** Show the book of a symbol by a connected client; null for none. */
  show(client, quote) {
    this.#client = client;
    this.#quote = quote;
    this.#steps = "";
    this.lengths = { row: 0, sum: 0 };
    this.#levels = 0;
    this.#follow();
  }

  touch() {
    this.#table.touch();
  }

  #follow() {
    const [client, quote] = [this.#client, this.#quote];
    if (client === null || quote === null) {
      this.#table.follow(null);
      return;
    }
    const depths = client.features.book;
    if (depths.length === 0) this.#table.follow(null, "This service has no order books.");
    else {
      const least = this.#multiple === 1 ? LEVELS : GROUPED_DEPTH;
      this.#table.follow(() => client.book(quote.symbol, depths.find((depth) => depth >= least) ?? depths.at(-1)));
    }
  }

  /** Paint the book; `last` is the last trade, if there is one. */
  paint(last) {
    this.#table.painted();
    const { page } = this;
    const quote = this.#quote;
    write(page.bookCaption, `Order book of ${quote.symbol}`);
    const { bids = [], asks = [] } = this.#table.reader ?? {};
    const isEmpty = bids.length === 0 && asks.length === 0;
    this.#table.describe({ nothing: isEmpty ? this.#emptyText() : "", quote });
    page.bookTable.hidden = page.bookStep.hidden = isEmpty;
    if (isEmpty) return;
    const scale = scaleOf([...bids, ...asks].map(([price]) => price));
    this.#showSteps({ bids, asks });
    const multiple = Number(page.bookStep.value);
    const depth = Number(this.#table.reader.name.split(":").at(-1));
    const side = (levels, isBid) => groupsOf(levels, { multiple, scale, isBid, count: LEVELS, isWhole: levels.length < depth });
    const sides = { bids: side(bids, true), asks: side(asks, false) };
    const most = Math.max(...[...sides.bids, ...sides.asks].map(({ amount }) => amount));
    const marked = this.#marked(last, { bids, asks, multiple, scale });
    this.#levels = Math.max(this.#levels, sides.bids.length, sides.asks.length);
    for (const [name, groups] of Object.entries(sides)) {
      this.#rows[name].forEach((row, index) => (row.element.hidden = index >= this.#levels));
      this.#rows[name].forEach((row, index) => paintRow(row, groups[index], most, marked[name], last?.side));
    }
    this.#measure([...sides.bids, ...sides.asks]);
    this.#paintMiddle(bids[0]?.[0], asks[0]?.[0], last);
  }

  #measure(groups) {
    for (const { price, size, total } of groups) {
      const row = grouped(price).length + grouped(size).length;
      this.lengths.row = Math.max(this.lengths.row, row);
      this.lengths.sum = Math.max(this.lengths.sum, row + grouped(total).length);
    }
  }

  #emptyText() {
    const { reader } = this.#table;
    const never = reader?.reason === "no_data";
    return never ? `${this.#quote.symbol} has no order book${unlessAllowed("it")}.` : `The order book of ${this.#quote.symbol} is empty.`;
  }

  /** The price, of each side, at which the last trade was. */
  #marked(last, { bids, asks, multiple, scale }) {
    if (last === undefined || last.size === "0" || scaleOf([last.price]) > scale) return {};
    const price = Number(last.price);
    if (bids.length > 0 && price <= Number(bids[0][0])) return { bids: groupOf(last.price, { multiple, scale, isBid: true }) };
    if (asks.length > 0 && price >= Number(asks[0][0])) return { asks: groupOf(last.price, { multiple, scale, isBid: false }) };
    return {};
  }

  #paintMiddle(bid, ask, last) {
    const { page } = this;
    const known = bid !== undefined && ask !== undefined;
    const spread = known ? difference(ask, bid) : undefined;
    const middle = known ? (Number(bid) + Number(ask)) / 2 : NaN;
    const points = known && middle > 0 ? ` · ${((Number(spread) / middle) * 10_000).toFixed(1)} bp` : "";
    write(page.bookSpread, known ? `${Number(spread) < 0 ? "Crossed" : "Spread"} ${grouped(spread)}${points}` : bid === undefined ? "No bids" : "No asks");
    write(page.bookLast, last === undefined ? "" : `${arrowOf(last.side)} ${grouped(last.price)}`);
    page.bookLast.dataset.side = last?.side ?? "";
  }

  #showSteps(book) {
    const steps = stepsFor(book);
    const key = steps.map(({ text }) => text).join();
    if (key === this.#steps) return;
    this.#steps = key;
    const chosen = steps.findLast(({ multiple }) => multiple <= this.#multiple) ?? steps[0];
    this.page.bookStep.replaceChildren(...steps.map(({ multiple, text }) => new Option(grouped(text), String(multiple), false, multiple === chosen.multiple)));
  }

  #makeRows(name, body) {
    for (let number = 0; number < LEVELS; number += 1) {
      const element = document.createElement("tr");
      const [price, size, total] = ["th", "td", "td"].map((tag) => document.createElement(tag));
      price.scope = "row";
      total.className = "total";
      const bar = document.createElement("i");
      const text = document.createElement("span");
      price.append(bar, text);
      element.append(price, size, total);
      // Asks stand with the best one at the bottom, beside the best bid.
      if (name === "asks") body.prepend(element);
      else body.append(element);
      this.#rows[name].push({ element, bar, price: text, size, total, width: -1 });
    }
  }
}

function paintRow(row, group, most, marked, side) {
  if (group === undefined) {
    if (row.width !== 0) row.bar.style.backgroundSize = "0 100%";
    row.width = 0;
    row.element.classList.add("empty");
    for (const part of ["price", "size", "total"]) write(row[part], "");
    delete row.element.dataset.last;
    return;
  }
  row.element.classList.remove("empty");
  write(row.price, grouped(group.price));
  write(row.size, `${grouped(group.size)}${group.partial ? "+" : ""}`);
  write(row.total, `${grouped(group.total)}${group.partial ? "+" : ""}`);
  const width = most > 0 ? Math.round((group.amount / most) * 200) / 200 : 0;
  if (width !== row.width) {
    row.width = width;
    row.bar.style.backgroundSize = `${width * 100}% 100%`;
  }
  if (group.price === marked) row.element.dataset.last = side ?? "none";
  else if (row.element.dataset.last !== undefined) delete row.element.dataset.last;
}

const arrowOf = (side) => (side === "buy" ? "▲" : side === "sell" ? "▼" : "");

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
