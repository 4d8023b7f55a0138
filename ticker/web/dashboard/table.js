// The rows: their order, those in the page, the painting of a frame, and the keyboard's focus.

import { sortLines } from "./columns.js";
import { layoutFor } from "./layout.js";
import { HeadRow, Row } from "./row.js";
import { Places, Viewport } from "./virtual.js";
import { Watchlist } from "./watchlist.js";

const SPARKS_PER_FRAME = 6;
const FEW_FLASHES = 20; // rows that flash at once; with more, flashes end without fading, which costs less
const MANY_ROWS = 40;
const SORT_EVERY_MS = 1000;
const SHARE = 8; // arranging again waits this many times as long as it took, so that the page stays usable

export class Table extends EventTarget {
  #list;
  #lines = [];
  #rows = new Map(); // by line: those in the page
  #spare = [];
  #lineOf = new WeakMap(); // by element
  #places = new Places();
  #viewport;
  #layout = null;
  #lengths = {};
  #grown = false;
  #sort = null;
  #sorted = -1; // the version of the list whose lines are sorted
  #current = null;
  #chosen = null;
  #nextSpark = 0;
  #stale = { order: true, since: -Infinity, cost: 0 };

  /** `facts` has names and metadata of instruments by symbol. */
  constructor({ body, scroller, heads, template }, quotes, facts, choice, palette, sparks) {
    super();
    this.body = body;
    this.grid = body.parentElement;
    this.scroller = scroller;
    this.template = template;
    this.quotes = quotes;
    this.facts = facts;
    this.choice = choice;
    this.palette = palette;
    this.sparks = sparks;
    this.#list = new Watchlist(quotes);
    this.#viewport = new Viewport(scroller, heads);
    scroller.addEventListener("scroll", () => this.#wanted(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(scroller);
    choice.addEventListener("change", () => this.#relayout());
    palette.addEventListener("change", () => this.redraw());
    body.addEventListener("focusin", (event) => this.#focused(this.lineOf(event.target)));
  }

  /** Show a list of names, sorted by a column or in its own order (null). */
  show(names, sort) {
    this.#list.compile(names);
    this.#lengths = {};
    this.#sort = sort;
    this.#relayout();
    this.#arrange();
  }

  sortBy(sort) {
    this.#sort = sort;
    this.#sorted = -1;
    this.#arrange();
  }

  /** Symbols that the service did not have before. */
  add(symbols) {
    this.#list.add(symbols);
    this.#stale.order = true;
  }

  get lines() {
    return this.#lines;
  }

  get layout() {
    return this.#layout;
  }

  get sort() {
    return this.#sort;
  }

  get current() {
    return this.#current;
  }

  /** The symbols in the page, in their order. */
  get visible() {
    return [...this.#rows.keys()].filter((line) => line.symbol !== null).sort((one, other) => one.index - other.index).map((line) => line.symbol);
  }

  /** The line of an element in the page, or null. */
  lineOf(node) {
    const element = node instanceof Element ? node.closest(".row") : null;
    return (element && this.#lineOf.get(element)?.line) ?? null;
  }

  lineFor(symbol) {
    return this.#list.lineFor(symbol);
  }

  /** The line at a height of the window, or null. */
  lineAt(clientY) {
    const y = clientY - this.body.getBoundingClientRect().top;
    return this.#lines[this.#places.at(y)] ?? null;
  }

  elementOf(line) {
    return this.#rows.get(line)?.element ?? null;
  }

  /** How many rows the page shows at once. */
  get pageful() {
    return Math.max(1, Math.floor(this.#viewport.height / (this.#layout?.rowHeight ?? 40)) - 1);
  }

  focus(line) {
    this.#focused(line);
    if (line === null) return;
    this.reveal(line);
    this.elementOf(line)?.focus({ preventScroll: true });
  }

  /** Scroll to a line. */
  reveal(line) {
    this.#viewport.reveal(this.#places.top(line.index), this.#places.bottom(line.index));
    this.#place();
  }

  /** Move the focus by a number of rows; infinity is an end. */
  step(by) {
    const at = this.#current?.index ?? 0;
    const to = Math.min(this.#lines.length - 1, Math.max(0, at + by));
    if (this.#lines[to]) this.focus(this.#lines[to]);
  }

  /** Select the row of the chart. */
  choose(symbol) {
    this.#chosen = symbol;
    for (const row of this.#rows.values()) this.#select(row);
  }

  /** Paint a frame. Returns whether the next one has work of its own. */
  paint(now) {
    if (this.#shouldArrange(now)) this.#arrange(now);
    this.#place();
    let flashing = 0;
    for (const row of this.#rows.values()) if (row.paint(now, this.facts)) flashing += 1;
    if (this.#grown) this.#relayout();
    this.sparks.show(this.visible);
    const busy = flashing > FEW_FLASHES || this.#rows.size > MANY_ROWS;
    if (busy !== (this.grid.dataset.busy === "yes")) this.grid.dataset.busy = busy ? "yes" : "no";
    return this.#paintSparks(now) || flashing > 0 || this.#stale.order;
  }

  /** Draw the small charts again. */
  redraw() {
    for (const row of this.#rows.values()) row.redraw();
    this.#wanted();
  }

  #paintSparks(now) {
    const rows = [...this.#rows.values()];
    let drawn = 0;
    for (let count = 0; count < rows.length && drawn < SPARKS_PER_FRAME; count += 1) {
      this.#nextSpark = (this.#nextSpark + 1) % rows.length;
      if (rows[this.#nextSpark].spark(now, this.#layout.spark, this.palette, this.sparks)) drawn += 1;
    }
    return drawn === SPARKS_PER_FRAME;
  }

  #shouldArrange(now) {
    const { order, since, cost } = this.#stale;
    const rest = now - since;
    if (order) return rest > SHARE * cost;
    return this.#sort !== null && rest > Math.max(SORT_EVERY_MS, 2 * SHARE * cost);
  }

  /** Order the lines, and keep in view what was. */
  #arrange(now = performance.now()) {
    const begun = performance.now();
    const anchor = this.#sort === null && this.#viewport.top > 0 ? this.#lines[this.#places.at(this.#viewport.top)] : null;
    const depth = anchor ? this.#viewport.top - this.#places.top(anchor.index) : 0;
    const focused = this.#hasFocus;
    const before = this.#lines;
    this.#lines = this.#inOrder();
    for (const line of before) line.index = -1;
    this.#lines.forEach((line, index) => (line.index = index));
    if (this.#current !== null && this.#current.index < 0) this.#current = this.#successor(before, this.#current) ?? null;
    this.#current ??= this.#lines[0] ?? null;
    this.#measure();
    if (anchor && anchor.index >= 0) this.#viewport.top = this.#places.top(anchor.index) + depth;
    this.#place();
    if (focused && this.#current) this.elementOf(this.#current)?.focus({ preventScroll: true });
    this.#stale = { order: false, since: now, cost: performance.now() - begun };
    this.dispatchEvent(new Event("arranged"));
  }

  /** The lines as they are to be shown. A list that was sorted is nearly in order still, which costs less to sort. */
  #inOrder() {
    const lines = this.#list.lines(); // counts the matches of patterns as well
    if (this.#sort === null) return lines;
    const known = this.#sorted === this.#list.version;
    this.#sorted = this.#list.version;
    return sortLines(known ? this.#lines : lines, this.#sort, this.facts);
  }

  get #hasFocus() {
    return document.activeElement !== null && this.body.contains(document.activeElement);
  }

  /** The line that takes the place of one that is gone. */
  #successor(before, gone) {
    const at = before.indexOf(gone);
    return before.slice(at + 1).find((line) => line.index >= 0) ?? before.slice(0, at).findLast((line) => line.index >= 0);
  }

  #measure() {
    if (this.#layout === null) return;
    const { rowHeight, headHeight } = this.#layout;
    this.#places.set(this.#lines, (line) => (line.symbol === null ? headHeight : rowHeight));
    this.body.style.height = `${this.#places.total}px`;
    this.#viewport.forget();
    this.grid.setAttribute("aria-rowcount", String(this.#lines.length + 1));
  }

  /** The row of the keyboard stays in view. */
  #resized() {
    this.#relayout();
    if (this.#hasFocus && this.#current?.index >= 0) this.reveal(this.#current);
  }

  /** Choose the columns for the width; rows are made anew if these have changed. */
  #relayout() {
    this.#grown = false;
    const { columns, density } = this.choice;
    const width = this.scroller.clientWidth;
    if (width === 0) return;
    const before = this.#layout;
    const layout = layoutFor({ columns, lengths: this.#lengths, width, density, character: digitWidth(this.grid, 400), bold: digitWidth(this.grid, 640) });
    this.#layout = layout;
    const kindOf = ({ cards, shown, spark }) => `${cards} ${shown.map(({ id }) => id)} ${spark?.width}`;
    const changed = before === null || kindOf(before) !== kindOf(layout);
    if (changed) this.#dropAll();
    this.grid.classList.toggle("cards", layout.cards);
    this.grid.classList.toggle("stacked", layout.stacked ?? false);
    this.grid.classList.toggle("tight", layout.tight);
    this.grid.dataset.density = density;
    const { style } = this.grid;
    style.setProperty("--columns", layout.template);
    style.setProperty("--row-height", `${layout.rowHeight}px`);
    style.setProperty("--head-height", `${layout.headHeight}px`);
    style.setProperty("--spark", `${layout.spark.width}px`);
    style.setProperty("--per-line", String(layout.perLine ?? 1));
    style.setProperty("--main", `${layout.mainWidth ?? 0}px`);
    style.setProperty("--name-lines", String(layout.nameLines ?? 2));
    if (changed || before.rowHeight !== layout.rowHeight || before.template !== layout.template) this.dispatchEvent(new Event("layout"));
    this.#measure();
    this.#wanted();
  }

  #dropAll() {
    const focused = this.#hasFocus;
    for (const row of this.#rows.values()) row.element.remove();
    this.#rows.clear();
    this.#spare = [];
    if (focused) queueMicrotask(() => this.#current && this.focus(this.#current));
  }

  /** Bring into the page what is visible, and the row that the keyboard is on; take out the rest. */
  #place() {
    if (this.#layout === null) return;
    const { top, height } = this.#viewport;
    const [first, last] = this.#places.between(top, top + height);
    const wanted = this.#lines.slice(first, last + 1);
    const { index } = this.#current ?? { index: -1 };
    if (index >= 0 && index < first) wanted.unshift(this.#current);
    if (index > last) wanted.push(this.#current);
    const staying = new Set(wanted);
    for (const [line, row] of this.#rows) if (!staying.has(line)) this.#drop(line, row);
    let at = this.body.firstElementChild;
    for (const line of wanted) {
      const row = this.#rows.get(line) ?? this.#make(line);
      if (row.element === at) at = at.nextElementSibling;
      else this.body.insertBefore(row.element, at);
      this.#position(row, line.index);
    }
  }

  #position(row, index) {
    const place = `translateY(${this.#places.top(index)}px)`;
    if (row.place === place && row.index === index) return;
    row.place = place;
    row.index = index;
    row.element.style.transform = place;
    row.element.setAttribute("aria-rowindex", String(index + 2));
  }

  #make(line) {
    const isHead = line.symbol === null;
    const at = this.#spare.findLastIndex((row) => row instanceof HeadRow === isHead);
    const row = at >= 0 ? this.#spare.splice(at, 1)[0] : isHead ? new HeadRow(this.template) : new Row(this.template, this.#layout, (id, text) => this.#noted(id, text));
    row.bind(line);
    row.element.tabIndex = line === this.#current ? 0 : -1;
    this.#rows.set(line, row);
    this.#lineOf.set(row.element, row);
    this.#select(row);
    return row;
  }

  #drop(line, row) {
    row.element.remove();
    this.#rows.delete(line);
    this.#spare.push(row);
  }

  #noted(id, text) {
    const before = this.#lengths[id] ?? 0;
    if (text.length <= before) return;
    const length = text.length - text.replace(/[^.,]/g, "").length / 2; // these are half as wide as digits
    if (length <= before) return;
    this.#lengths[id] = length;
    this.#grown = true;
  }

  #select(row) {
    const { symbol } = row.line;
    if (symbol === null) row.element.removeAttribute("aria-selected");
    else row.element.setAttribute("aria-selected", String(symbol === this.#chosen));
  }

  #focused(line) {
    if (line === null || line === this.#current) return;
    const before = this.#current && this.elementOf(this.#current);
    if (before) before.tabIndex = -1;
    this.#current = line;
    const element = this.elementOf(line);
    if (element) element.tabIndex = 0;
  }

  #wanted() {
    this.dispatchEvent(new Event("stale"));
  }
}

/** The width of a digit in an element, in pixels. */
function digitWidth(element, weight) {
  const context = document.createElement("canvas").getContext("2d");
  const { fontSize, fontFamily } = getComputedStyle(element);
  context.font = `${weight} ${fontSize} ${fontFamily}`;
  return context.measureText("0").width;
}
