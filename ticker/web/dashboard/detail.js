// The panel of the chosen symbol: its price, its chart, its book and trades, and all its values, exactly as they were sent.

import { Bars } from "./bars.js";
import { Chart } from "./chart.js";
import { ChartControls } from "./chart_controls.js";
import { Facts } from "./facts.js";
import { grouped, moment } from "./format.js";
import { unlessAllowed } from "./http.js";
import { Ladder } from "./ladder.js";
import { NO_ROOM } from "./room.js";
import { Tape } from "./tape.js";

const EVERY_MS = 100;
const DESCRIBE_EVERY_MS = 5000;
const CHARACTER_PX = 7.8; // the widest digit of the book's and the tape's font, on average
const MARKET_GAP = 20;
const CLOCK = 8; // characters of a time
const UNITS = { s: 1, m: 60, h: 3600, d: 86_400 };

export class Detail {
  #chart;
  #controls;
  #ladder;
  #tape;
  #values;
  #client = null; // the one that the tables are of
  #bars = null;
  #paintedAt = 0;
  #version = -1; // of the quote that is shown
  #describedAt = 0;
  #said = ""; // the state of the quote that is shown
  #width = 0; // of book and trades

  /** `connection.client` is the present client; `changed` asks for a frame. */
  constructor(page, connection, palette, facts, changed) {
    this.page = page;
    this.connection = connection;
    this.facts = facts;
    this.#values = new Facts(page.facts);
    this.#chart = new Chart(page, palette, changed, (text) => (page.announcer.textContent = text));
    this.#controls = new ChartControls(page, () => this.#followBars());
    this.#ladder = new Ladder(page, changed);
    this.#tape = new Tape(page, changed);
    new ResizeObserver(([{ contentRect }]) => {
      this.#width = contentRect.width;
      this.#fitMarket();
    }).observe(page.market);
    connection.addEventListener("state", () => this.#follow());
  }

  get quote() {
    return this.#chart.quote;
  }

  /** Show the symbol of a quote; null for none. */
  show(quote) {
    if (quote === this.quote) return;
    this.#chart.quote = quote;
    this.page.detail.hidden = quote === null;
    this.page.detail.scrollTop = 0;
    this.#values.clear();
    this.#describedAt = this.#paintedAt = 0;
    this.#version = -1;
    this.#said = "";
    this.#client = null;
    this.#follow();
  }

  /** Beside another list there may be room for what found none; the bars, which come last, tell that. */
  listChanged() {
    if (this.#bars?.problem !== NO_ROOM) return;
    this.#bars.close();
    this.#bars = this.#client = null;
    this.#follow();
  }

  /** Paint what changed. Returns whether the next frame has work of its own. */
  paint(now) {
    if (this.quote === null) return false;
    const changed = this.quote.version !== this.#version;
    const due = now - this.#paintedAt >= EVERY_MS;
    if (this.#chart.dirty || (due && (changed || this.#chart.late))) this.#paintChart();
    const later = changed || this.#chart.late || this.#tape.dirty || this.#ladder.dirty;
    if (!due) return later;
    this.#paintedAt = now;
    this.#version = this.quote.version;
    this.#paintTexts();
    this.#showRemark();
    if (this.#tape.dirty) this.#tape.paint();
    if (this.#ladder.dirty) this.#ladder.paint(this.#tape.last);
    this.#fitMarket();
    if (now - this.#describedAt >= DESCRIBE_EVERY_MS) this.#describe(now);
    return false;
  }

  /** Read the tables of the symbol by the present client, once that has heard which there are. */
  #follow() {
    const { client } = this.connection;
    const known = this.quote !== null && client?.features !== undefined;
    for (const part of [this.#ladder, this.#tape]) part.touch();
    this.#chart.dirty = true;
    if (known && client === this.#client) return;
    this.#client = known ? client : null;
    this.#tape.show(this.#client, this.quote);
    this.#ladder.show(this.#client, this.quote);
    this.#followBars();
  }

  #followBars() {
    const client = this.#client;
    const { style, volume } = this.#controls;
    Object.assign(this.#chart, { style, volume });
    const period = client === null ? undefined : this.#controls.offer(client.features.candles.periods);
    const [bars, { symbol } = {}] = [this.#bars, this.quote ?? {}];
    if (bars !== null && bars.client === client && bars.symbol === symbol && bars.period === period) this.#chart.dirty = true;
    else {
      bars?.close();
      this.#bars = period === undefined ? null : new Bars(client, symbol, period, (appended) => this.#chart.barsChanged(appended));
      this.#chart.show(this.#bars, period === undefined ? 60 : Number(period.slice(0, -1)) * UNITS[period.slice(-1)]);
    }
  }

  /** Book and trades stand side by side, and the book has sums, where the longest rows have room for it. */
  #fitMarket() {
    const { market, book } = this.page;
    const width = (characters, gaps) => characters * CHARACTER_PX + gaps;
    const half = (this.#width - MARKET_GAP) / 2;
    const { row, sum } = this.#ladder.lengths;
    const beside = half >= Math.max(190, width(row, 40), width(this.#tape.length + CLOCK, 46));
    set(market, "beside", beside ? "yes" : "no");
    set(book, "sum", (beside ? half : this.#width) >= Math.max(250, width(sum, 60)) ? "yes" : "no");
  }

  #paintChart() {
    this.#controls.show(this.#chart.isLine);
    this.#chart.draw();
  }

  #describe(now) {
    this.#describedAt = now;
    this.page.chart.setAttribute("aria-label", this.#chart.describe());
  }

  #showRemark() {
    const { chartNote } = this.page;
    const [text, kind] = this.#remark();
    chartNote.hidden = text === "";
    chartNote.dataset.kind = kind;
    write(chartNote, text);
  }

  /** Why there is no chart, that it is not of now, or why no older part of it; and which of these. */
  #remark() {
    const { symbol, remarks } = this.quote;
    if (this.#client === null) return ["", ""];
    const bars = this.#bars;
    if (bars === null) return [`This service has no candles, so there is no chart of ${symbol}.`, "alone"];
    if (bars.length === 0) {
      if (bars.problem) return [`No chart of ${symbol}: ${bars.problem}.`, "alone"];
      const none = `${symbol} has no past yet${unlessAllowed("it")}: its chart begins with the next trade or quote.`;
      return [bars.complete ? none : "Reading…", "alone"];
    }
    if (this.#client.state !== "connected") return ["No connection: this is the past.", "warning"];
    if (remarks.length > 0) return [remarks.join(" · "), "warning"];
    if (bars.problem) return [`There may be more: ${bars.problem}.`, ""];
    return [bars.reading ? "Reading older bars…" : "", ""];
  }

  #paintTexts() {
    const { page, quote } = this;
    write(page.detailSymbol, quote.symbol);
    write(page.detailName, this.facts.description(quote.symbol));
    const { text, kind } = this.#price();
    write(page.detailLast, text);
    page.detailLast.style.setProperty("--characters", String(text.length));
    write(page.detailKind, kind);
    write(page.detailChange, Number.isNaN(quote.reference) ? "" : `${quote.changeText}  ${quote.percentText}`);
    page.detailChange.dataset.move = quote.change > 0 ? "up" : quote.change < 0 ? "down" : "";
    write(page.detailReference, quote.referenceField ? `against ${quote.referenceName}, ${grouped(quote.values[quote.referenceField])}` : "");
    const remarks = quote.remarks.length > 0 && this.#since() ? [...quote.remarks, `since ${moment(this.#since())}`] : quote.remarks;
    page.detailBadge.hidden = remarks.length === 0;
    write(page.detailBadge, remarks.join(" · "));
    this.#announceState();
    set(page.detail, "status", quote.state);
    this.#values.paint(quote);
  }

  /** Have a screen reader say that the shown symbol is no longer live, and that it is again. */
  #announceState() {
    const { symbol, remarks } = this.quote;
    const text = `${symbol}: ${remarks.join(", ") || "live"}`;
    if (text === this.#said) return;
    const isNews = this.#said !== "";
    this.#said = text;
    if (isNews) this.page.announcer.textContent = text;
  }

  /** Since when it is not live, as far as that is known. */
  #since() {
    const { quote } = this;
    if (quote.state === "unknown") return null;
    if (quote.state !== "withdrawn") return quote.since;
    return ["last", "bid", "ask"].map((field) => quote.withdrawnAt(field)).find(Boolean) ?? null;
  }

  /** The large price, and what it is. */
  #price() {
    const { values, price, digits } = this.quote;
    const { last, bid, ask } = values;
    if (last !== undefined) return { text: grouped(last), kind: "last" };
    if (Number.isNaN(price)) return { text: grouped(undefined), kind: "" };
    if (bid === undefined) return { text: grouped(ask), kind: "ask" };
    if (ask === undefined) return { text: grouped(bid), kind: "bid" };
    return { text: grouped(price.toFixed(digits + 1)), kind: "middle of bid and ask" };
  }
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function set(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}
