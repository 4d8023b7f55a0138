// The rows: which there are and in which order, what is painted in a frame, and how one goes through them.

import { expand } from "./watchlist.js";
import { Row } from "./row.js";

const SPARKS_PER_FRAME = 6;
const FEW_FLASHES = 40; // rows that flash at once; with more, flashes end without fading, which costs less

export class Table extends EventTarget {
  #rows = new Map();
  #order = [];
  #current = null;
  #turn = 0;
  #sparkSize = { width: 0, height: 0 };
  #watching;

  /** `facts.name(symbol)` gives an instrument's name. */
  constructor(body, template, quotes, facts, palette) {
    super();
    this.body = body;
    this.template = template;
    this.quotes = quotes;
    this.facts = facts;
    this.palette = palette;
    this.grid = body.parentElement;
    const root = body.closest(".scroller");
    this.#watching = new IntersectionObserver((entries) => this.#seen(entries), { root, rootMargin: "120px 0px" });
    new ResizeObserver(() => this.#measure()).observe(root);
    palette.addEventListener("change", () => this.redraw());
    body.addEventListener("focusin", (event) => this.#focused(this.rowOf(event.target)));
  }

  /** Have the rows that a list of names asks for. */
  arrange(names) {
    const wanted = expand(names, this.quotes.symbols);
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
    else if (focused) this.#current.element.focus({ preventScroll: true }); // one that is moved loses it
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

  /** Go to another row: so many places on, or to an end. */
  step(by) {
    const at = Math.max(0, this.#order.indexOf(this.#current));
    const to = Math.min(this.#order.length - 1, Math.max(0, at + by));
    if (this.#order[to]) this.focus(this.#order[to]);
  }

  /** Mark the row whose chart is shown. */
  choose(symbol) {
    for (const row of this.#order) {
      if (row.symbol !== null) row.element.setAttribute("aria-selected", String(row.symbol === symbol));
    }
  }

  /** Paint what changed among the rows in view; true if the next frame has something to do by itself. */
  paint(now) {
    let flashing = 0;
    const visible = [];
    for (const row of this.#order) {
      if (!row.visible) continue;
      visible.push(row);
      if (row.paint(now, this.facts)) flashing += 1;
    }
    const busy = flashing > FEW_FLASHES / 2 || visible.length > FEW_FLASHES;
    if (busy !== (this.grid.dataset.busy === "yes")) this.grid.dataset.busy = busy ? "yes" : "no";
    let sparks = 0;
    for (let count = 0; count < visible.length && sparks < SPARKS_PER_FRAME; count += 1) {
      this.#turn = (this.#turn + 1) % visible.length;
      if (this.#sparkSize.width > 0 && visible[this.#turn].spark(now, this.#sparkSize, this.palette)) sparks += 1;
    }
    return flashing > 0 || sparks === SPARKS_PER_FRAME;
  }

  /** Have the small charts drawn again. */
  redraw() {
    for (const row of this.#order) if (row.visible) row.show(true);
    this.dispatchEvent(new Event("stale"));
  }

  #make(name, symbol) {
    const row = new Row(this.template, name, symbol, symbol === null ? null : this.quotes.of(symbol));
    this.#watching.observe(row.element);
    return row;
  }

  #drop(row) {
    this.#watching.unobserve(row.element);
    row.element.remove();
    if (row === this.#current) this.#current = null;
  }

  /** Put the elements in order, touching only those that are not. */
  #place() {
    let at = this.body.firstElementChild;
    this.#order.forEach((row, index) => {
      if (row.element === at) at = at.nextElementSibling;
      else this.body.insertBefore(row.element, at);
      row.element.setAttribute("aria-rowindex", String(index + 2));
    });
  }

  /** The row that takes the focus when the one that has it goes. */
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

  /** The size of the small charts, which is one for all. */
  #measure() {
    const canvas = this.#order.find((row) => row.visible && row.symbol !== null)?.canvas;
    if (!canvas) return;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (width === this.#sparkSize.width && height === this.#sparkSize.height) return;
    this.#sparkSize = { width, height };
    this.redraw();
  }
}
