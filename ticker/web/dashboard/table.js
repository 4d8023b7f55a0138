// The rows: their order, the painting of a frame, and the keyboard's focus.

import { Row } from "./row.js";
import { Expansion } from "./watchlist.js";

const SPARKS_PER_FRAME = 6;
const FEW_FLASHES = 40; // rows that flash at once; with more, flashes end without fading, which costs less

export class Table extends EventTarget {
  #expansion = new Expansion();
  #rows = new Map();
  #order = [];
  #current = null;
  #nextSpark = 0;
  #sparkSize = { width: 0, height: 0 };
  #observer;

  /** `facts.name(symbol)` gives an instrument's name. */
  constructor(body, template, quotes, facts, palette, sparks) {
    super();
    this.body = body;
    this.template = template;
    this.quotes = quotes;
    this.facts = facts;
    this.palette = palette;
    this.sparks = sparks;
    this.grid = body.parentElement;
    const root = body.closest(".scroller");
    this.#observer = new IntersectionObserver((entries) => this.#seen(entries), { root, rootMargin: "120px 0px" });
    new ResizeObserver(() => this.#measure()).observe(root);
    palette.addEventListener("change", () => this.redraw());
    body.addEventListener("focusin", (event) => this.#focused(this.rowOf(event.target)));
  }

  /** Make the rows of a list of names. */
  arrange(names) {
    const wanted = this.#expansion.rows(names, this.quotes.symbols);
    const rows = new Map();
    const order = [];
    const matches = new Map();
    for (const { name, symbol } of wanted) {
      const key = `${symbol === null ? "head" : "row"} ${symbol ?? name}`;
      const row = this.#rows.get(key) ?? this.#make(name, symbol);
      row.name = name;
      rows.set(key, row);
      order.push(row);
      if (symbol !== null) matches.set(name, (matches.get(name) ?? 0) + 1);
    }
    const gone = [...this.#rows].filter(([key]) => !rows.has(key)).map(([, row]) => row);
    const focused = this.#current?.element.contains(document.activeElement) ?? false;
    const successor = focused && gone.includes(this.#current) ? this.#successor(rows) : null;
    for (const row of gone) this.#drop(row);
    this.#rows = rows;
    this.#order = order;
    this.#place();
    for (const row of order) if (row.symbol === null) row.describe(matches.get(row.name) ?? 0);
    this.grid.setAttribute("aria-rowcount", String(order.length + 1));
    if (successor) this.focus(successor);
    else if (!this.#current) this.#focused(order[0] ?? null);
    else if (focused) this.#current.element.focus({ preventScroll: true }); // a moved element loses it
    this.dispatchEvent(new Event("arranged"));
  }

  get current() {
    return this.#current;
  }

  get order() {
    return this.#order;
  }

  rowOf(node) {
    const element = node instanceof Element ? node.closest(".row") : null;
    return this.#order.find((row) => row.element === element) ?? null;
  }

  rowFor(symbol) {
    return this.#rows.get(`row ${symbol}`) ?? null;
  }

  focus(row) {
    this.#focused(row);
    row?.element.focus({ preventScroll: true });
    row?.element.scrollIntoView({ block: "nearest" });
  }

  /** Move the focus by a number of rows; infinity is an end. */
  step(by) {
    const at = Math.max(0, this.#order.indexOf(this.#current));
    const to = Math.min(this.#order.length - 1, Math.max(0, at + by));
    if (this.#order[to]) this.focus(this.#order[to]);
  }

  /** Select the row of the chart. */
  choose(symbol) {
    for (const row of this.#order) {
      if (row.symbol !== null) row.element.setAttribute("aria-selected", String(row.symbol === symbol));
    }
  }

  /** Paint the changes of the visible rows. Returns whether the next frame has work of its own. */
  paint(now) {
    let flashing = 0;
    const visible = [];
    for (const row of this.#order) {
      if (!row.visible) continue;
      visible.push(row);
      if (row.paint(now, this.facts)) flashing += 1;
    }
    this.sparks.show(visible.flatMap(({ symbol }) => symbol ?? []));
    const busy = flashing > FEW_FLASHES / 2 || visible.length > FEW_FLASHES;
    if (busy !== (this.grid.dataset.busy === "yes")) this.grid.dataset.busy = busy ? "yes" : "no";
    let sparks = 0;
    for (let count = 0; count < visible.length && sparks < SPARKS_PER_FRAME; count += 1) {
      this.#nextSpark = (this.#nextSpark + 1) % visible.length;
      if (this.#sparkSize.width > 0 && visible[this.#nextSpark].spark(now, this.#sparkSize, this.palette, this.sparks)) sparks += 1;
    }
    return flashing > 0 || sparks === SPARKS_PER_FRAME;
  }

  /** Redraw the small charts. */
  redraw() {
    for (const row of this.#order) if (row.visible) row.show(true);
    this.dispatchEvent(new Event("stale"));
  }

  #make(name, symbol) {
    const row = new Row(this.template, name, symbol, symbol === null ? null : this.quotes.of(symbol));
    this.#observer.observe(row.element);
    return row;
  }

  #drop(row) {
    this.#observer.unobserve(row.element);
    row.element.remove();
    if (row === this.#current) this.#current = null;
  }

  /** Order the elements, touching only those out of place. */
  #place() {
    let at = this.body.firstElementChild;
    this.#order.forEach((row, index) => {
      if (row.element === at) at = at.nextElementSibling;
      else this.body.insertBefore(row.element, at);
      row.element.setAttribute("aria-rowindex", String(index + 2));
    });
  }

  /** The row that takes the focus from a removed row. */
  #successor(rows) {
    const staying = new Set(rows.values());
    const at = this.#order.indexOf(this.#current);
    return this.#order.slice(at + 1).find((row) => staying.has(row)) ?? this.#order.slice(0, at).findLast((row) => staying.has(row)) ?? null;
  }

  #focused(row) {
    if (row === this.#current) return;
    if (this.#current) this.#current.element.tabIndex = -1;
    this.#current = row;
    if (row) row.element.tabIndex = 0;
  }

  #seen(entries) {
    for (const entry of entries) {
      const row = this.#order.find((each) => each.element === entry.target);
      if (row && row.visible !== entry.isIntersecting) row.show(entry.isIntersecting);
    }
    if (this.#sparkSize.width === 0) this.#measure();
    this.dispatchEvent(new Event("stale"));
  }

  /** Measure the size of the small charts, which all have in common. */
  #measure() {
    const canvas = this.#order.find((row) => row.visible && row.symbol !== null)?.canvas;
    if (!canvas) return;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (width === this.#sparkSize.width && height === this.#sparkSize.height) return;
    this.#sparkSize = { width, height };
    this.redraw();
  }
}
