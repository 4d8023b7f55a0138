// One line of the list in the page: its texts, of which only those that changed are touched, their flashes, and its small chart.

import { grouped, moment, NONE } from "./format.js";
import { labelOf } from "./layout.js";
import { drawSparkline } from "./sparkline.js";

const FLASH_MS = 400;
const SPARK_EVERY_MS = 500;

export class Row {
  #cells = [];
  #flashing = false;
  #shown = -1;
  #sparkAt = 0;
  #remark = null;

  /** `noted(column, text)` is told what a column has to have room for. */
  constructor(template, layout, noted) {
    this.line = null;
    this.noted = noted;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.symbol = this.element.querySelector("b");
    this.small = this.element.querySelector("small");
    this.canvas = null;
    if (layout.cards) this.#buildCard(layout);
    else for (const column of layout.shown) this.#addCell(column, this.#tail);
  }

  /** Show a line; what another one showed before is forgotten. */
  bind(line) {
    this.line = line;
    this.#shown = -1;
    this.#sparkAt = 0;
    this.#remark = null;
    const name = line.symbol ?? line.name;
    this.symbol.textContent = this.symbol.title = name;
    this.small.textContent = this.small.className = "";
    this.element.dataset.status = "live";
    this.element.dataset.move = "";
    this.element.querySelector(".remove .unseen").textContent = `Remove ${name}`;
    for (const cell of this.#cells) {
      cell.before = NaN;
      if (cell.flashUntil > 0) delete cell.element.dataset.flash;
      cell.flashUntil = 0;
    }
    if (this.canvas !== null) this.canvas.width = 0;
    this.noted("symbol", name);
  }

  /** Paint the line's changes. Returns whether it still flashes, so that a later frame has work. */
  paint(now, facts) {
    if (this.#shown !== this.line.quote.version) this.#paintTexts(now, facts);
    if (this.#flashing) this.#fade(now);
    return this.#flashing;
  }

  /** Draw the small chart, if it is time to; true if it was drawn. */
  spark(now, size, palette, sparks) {
    if (this.canvas === null || now - this.#sparkAt < SPARK_EVERY_MS) return false;
    this.#sparkAt = now;
    drawSparkline(this.canvas, size, sparks.of(this.line.symbol), palette, this.line.quote.price);
    return true;
  }

  /** Draw the small chart again at once. */
  redraw() {
    this.#sparkAt = 0;
  }

  get #tail() {
    return this.element.querySelector(".tail");
  }

  #buildCard({ main, beside, rest, sparkColumn }) {
    if (sparkColumn) this.#addCell(sparkColumn, this.#tail);
    if (main) this.#addCell(main, this.#tail, "main");
    const besides = this.#group("beside");
    for (const column of beside) this.#addCell(column, null, "", besides);
    const others = this.#group("rest");
    for (const column of rest) this.#addCell(column, null, "", others).dataset.label = labelOf(column);
  }

  #group(name) {
    const group = document.createElement("span");
    group.className = name;
    this.element.insertBefore(group, this.#tail);
    return group;
  }

  #addCell(column, before, more = "", parent = this.element) {
    const element = document.createElement("span");
    element.setAttribute("role", "gridcell");
    element.className = `${column.id} ${column.kind === "spark" ? "" : column.kind === "text" ? "words" : "num"} ${more}`;
    if (column.kind === "spark") {
      this.canvas = document.createElement("canvas");
      this.canvas.setAttribute("aria-hidden", "true");
      element.append(this.canvas);
    } else {
      element.append(NONE);
      this.#cells.push({ column, element, text: NONE, before: NaN, flashUntil: 0, title: "", gone: false });
    }
    parent.insertBefore(element, before);
    return element;
  }

  #paintTexts(now, facts) {
    const { quote } = this.line;
    const flash = this.#shown >= 0;
    this.#shown = quote.version;
    for (const cell of this.#cells) this.#paintCell(cell, quote, facts, flash ? now : 0);
    const move = quote.change > 0 ? "up" : quote.change < 0 ? "down" : "";
    if (move !== this.element.dataset.move) this.element.dataset.move = move;
    this.#showRemarks(facts.name(this.line.symbol));
  }

  #paintCell(cell, quote, facts, now) {
    const { column } = cell;
    const text = column.text(quote, facts);
    if (text !== cell.text) {
      cell.text = text;
      cell.element.firstChild.data = text;
      this.noted(column.id, text);
    }
    const withdrawn = column.field && quote.withdrawnAt(column.field);
    if (cell.gone !== Boolean(withdrawn)) {
      cell.gone = Boolean(withdrawn);
      cell.element.classList.toggle("gone", cell.gone);
    }
    const title = withdrawn ? `Withdrawn by the service at ${moment(withdrawn)}` : column.kind === "change" ? referenceOf(quote) : "";
    if (title !== cell.title) cell.element.title = cell.title = title;
    if (column.kind === "price") this.#flash(cell, Number(quote.values[column.field] ?? NaN), now);
  }

  #flash(cell, value, now) {
    const { before } = cell;
    cell.before = value;
    if (now === 0 || !(value !== before) || Number.isNaN(value - before)) return;
    const direction = value > before ? "up" : "down";
    if (cell.element.dataset.flash !== direction) cell.element.dataset.flash = direction;
    cell.flashUntil = now + FLASH_MS;
    this.#flashing = true;
  }

  #fade(now) {
    let any = false;
    for (const cell of this.#cells) {
      if (cell.flashUntil === 0) continue;
      if (cell.flashUntil > now) any = true;
      else {
        cell.flashUntil = 0;
        delete cell.element.dataset.flash;
      }
    }
    this.#flashing = any;
  }

  /** The second line: remarks on the state, or else the instrument's name. */
  #showRemarks(name) {
    const { remarks, since, state, problem } = this.line.quote;
    const when = since === null || problem || state === "withdrawn" ? [] : [`since ${moment(since)}`];
    const text = remarks.length > 0 ? [...remarks, ...when].join(" · ") : name;
    if (text === this.#remark) return;
    this.#remark = text;
    this.small.textContent = this.small.title = text;
    this.symbol.title = [this.line.symbol, text].filter(Boolean).join(": ");
    this.small.dataset.state = state;
    if (remarks.length > 0) this.noted("state", state);
    this.noted("name", text);
    this.small.className = remarks.length > 0 ? "badge" : "";
    this.element.dataset.status = state;
  }
}

/** A pattern's line tells how many it matches. */
export class HeadRow {
  #matches = -1;

  constructor(template) {
    this.line = null;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.element.classList.add("head");
    this.symbol = this.element.querySelector("b");
    this.small = this.element.querySelector("small");
  }

  bind(line) {
    this.line = line;
    this.#matches = -1;
    this.symbol.textContent = this.symbol.title = line.name;
    this.element.querySelector(".remove .unseen").textContent = `Remove the pattern ${line.name}`;
  }

  paint() {
    const { matches } = this.line;
    if (matches === this.#matches) return false;
    this.#matches = matches;
    this.small.textContent = `pattern · ${matches.toLocaleString("en")} ${matches === 1 ? "symbol" : "symbols"}`;
    return false;
  }

  spark() {
    return false;
  }

  redraw() {}
}

function referenceOf(quote) {
  const { referenceField, referenceName } = quote;
  if (referenceField === null) return "The feed gives no previous close and no opening price to count a change from";
  return `Since ${referenceName}, ${grouped(String(quote.values[referenceField]))}`;
}
