// One row of the list: its texts, of which only those that changed are touched, their flashes, and its small chart.

import { compact, grouped, moment } from "./format.js";
import { drawSparkline } from "./sparkline.js";

const FLASH_MS = 400;
const SPARK_EVERY_MS = 500;

export class Row {
  #cells = {};
  #texts = {};
  #values = {};
  #flashes = {};
  #shown = -1;
  #sparkAt = 0;
  #remark = null;
  #move = 0;

  constructor(template, name, symbol, quote) {
    this.name = name;
    this.symbol = symbol;
    this.quote = quote;
    this.visible = false;
    this.flashing = false;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.canvas = this.element.querySelector("canvas");
    this.#cells.symbol = this.element.querySelector("b");
    this.#cells.small = this.element.querySelector("small");
    this.#cells.symbol.textContent = symbol ?? name;
    if (symbol === null) this.#becomeHead();
    else for (const part of ["bid", "ask", "last", "change", "percent", "volume"]) this.#addCell(part);
    this.element.querySelector(".remove .unseen").textContent = `Remove ${symbol ?? name}`;
  }

  #addCell(part) {
    const cell = this.element.querySelector(`.${part}`);
    cell.append("–");
    this.#cells[part] = cell;
    this.#texts[part] = "–";
  }

  /** A pattern's row tells how many it matches. */
  #becomeHead() {
    this.element.classList.add("head");
    for (const cell of this.element.querySelectorAll(".num, canvas")) cell.remove();
  }

  describe(matches) {
    const text = `pattern · ${matches} ${matches === 1 ? "symbol" : "symbols"}`;
    if (text !== this.#remark) this.#cells.small.textContent = this.#remark = text;
  }

  /** Paint the row's changes. Returns whether it still flashes, so that a later frame has work. */
  paint(now, facts) {
    if (this.symbol === null) return false;
    if (this.#shown !== this.quote.version) this.#paintTexts(now, facts);
    if (this.flashing) this.#fade(now);
    return this.flashing;
  }

  #paintTexts(now, facts) {
    const { quote } = this;
    const { values } = quote;
    const flash = this.#shown >= 0;
    this.#shown = quote.version;
    this.#price("bid", values.bid, flash, now);
    this.#price("ask", values.ask, flash, now);
    this.#price("last", values.last, flash, now);
    this.#write("change", quote.changeText);
    this.#write("percent", quote.percentText);
    this.#write("volume", compact(values.volume));
    const move = Math.sign(quote.change) || 0;
    if (move !== this.#move) {
      this.#move = move;
      this.element.dataset.move = move > 0 ? "up" : move < 0 ? "down" : "";
    }
    this.#showRemarks(facts.name(this.symbol));
  }

  #price(part, text, flash, now) {
    if (!this.#write(part, grouped(text))) return;
    const before = this.#values[part];
    const value = (this.#values[part] = Number(text ?? NaN));
    if (!flash || !(value !== before) || Number.isNaN(value - before)) return;
    const cell = this.#cells[part];
    const direction = value > before ? "up" : "down";
    if (cell.dataset.flash !== direction) cell.dataset.flash = direction;
    this.#flashes[part] = now + FLASH_MS;
    this.flashing = true;
  }

  #write(part, text) {
    if (this.#texts[part] === text) return false;
    this.#texts[part] = text;
    this.#cells[part].firstChild.data = text;
    return true;
  }

  #fade(now) {
    let any = false;
    for (const part in this.#flashes) {
      const until = this.#flashes[part];
      if (until === 0) continue;
      if (until > now) any = true;
      else {
        this.#flashes[part] = 0;
        delete this.#cells[part].dataset.flash;
      }
    }
    this.flashing = any;
  }

  /** The second line: remarks on the status, or else the instrument's name. */
  #showRemarks(name) {
    const { remarks, since, status, problem } = this.quote;
    const when = since === null || problem ? [] : [`since ${moment(since)}`];
    const text = remarks.length > 0 ? [...remarks, ...when].join(" · ") : name;
    if (text === this.#remark) return;
    this.#remark = text;
    this.#cells.small.textContent = text;
    this.#cells.small.className = remarks.length > 0 ? "badge" : "";
    this.#cells.small.title = text;
    this.element.dataset.status = problem ? "unknown" : status;
  }

  /** Draw the small chart, if it is time to; true if it was drawn. */
  spark(now, size, palette, sparks) {
    if (this.symbol === null || now - this.#sparkAt < SPARK_EVERY_MS) return false;
    this.#sparkAt = now;
    drawSparkline(this.canvas, size, sparks.of(this.symbol), palette, this.quote.price);
    return true;
  }

  /** Come into view, or go out of it and free the chart's memory. */
  show(visible) {
    this.visible = visible;
    this.#sparkAt = 0;
    if (!visible && this.symbol !== null) this.canvas.width = 0;
  }
}
