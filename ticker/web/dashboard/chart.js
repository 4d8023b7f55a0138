// The chart of one symbol: its bars over time, its present price, and a place that the user points at.

import { listen } from "./chart_input.js";
import { axisWidth, paintCandles, paintCross, paintGaps, paintGrid, paintLine, paintPrice, paintReference, paintVolume } from "./chart_paint.js";
import { grouped, places } from "./format.js";
import { Legend } from "./legend.js";
import { priceScale } from "./price_scale.js";
import { barTime, timeMarks, TimeScale } from "./time_scale.js";

const TIME_AXIS = 26;
const TOP = 10;
const MARK_APART = 78;
const VOLUME_SHARE = 0.2;
const LEAST = { width: 150, height: 80 };

export class Chart {
  #page;
  #palette;
  #asked;
  #announce;
  #legend;
  #times = new TimeScale();
  #size = { width: 0, height: 0 };
  #axis = 64;
  #pointer = null; // {index, y}: the bar pointed at, and how high; without y at its close
  #bars = null;
  #seconds = 60;
  #digits = 0;
  #font = ""; // that the canvas has

  quote = null;
  /** How it is drawn: `candles`, `line`, or as suits the bars (null); and whether volumes are. */
  style = null;
  volume = true;
  /** Whether it has to be drawn at once, or soon: data come more often than anybody sees. */
  dirty = true;
  late = false;

  /** `changed` is called when the chart has to be drawn again, `announce` with what a screen reader shall say. */
  constructor(page, palette, changed, announce) {
    this.#page = page;
    this.#palette = palette;
    this.#announce = announce;
    this.#legend = new Legend(page.chartLegend);
    this.#asked = changed;
    new ResizeObserver(([entry]) => {
      const { width, height } = entry.contentRect;
      this.#size = { width, height };
      this.#changed();
    }).observe(page.chartBox);
    palette.addEventListener("change", () => this.#changed());
    this.#watchDensity();
    page.chartLatest.addEventListener("click", () => {
      this.latest();
      page.chartBox.focus(); // the button goes
    });
    listen(page.chartBox, this);
  }

  /** Show these bars; null for none. */
  show(bars, seconds) {
    this.#bars = bars;
    this.#seconds = seconds;
    this.#digits = 0;
    this.#pointer = null;
    this.#times.showLatest();
    this.#changed();
  }

  /** Bars came, so many at the end; NaN: the series began anew. */
  barsChanged(appended) {
    if (Number.isNaN(appended)) this.#pointer = null;
    else this.#times.append(appended);
    this.late = true;
    this.#asked();
  }

  get isLine() {
    return this.style === "line" || (this.style === null && this.#bars?.source === "bid");
  }

  // What a user does with it.

  get pointed() {
    return this.#pointer !== null;
  }

  pointAt(x, y) {
    if (!this.#bars?.length) return;
    const index = Math.min(this.#bars.length - 1, Math.max(0, this.#times.indexAt(x)));
    this.#pointer = { start: this.#bars.at(index).start, y };
    this.#changed();
  }

  leave() {
    if (this.#pointer === null) return;
    this.#pointer = null;
    this.#changed();
  }

  pan(pixels) {
    this.#times.pan(pixels);
    this.#changed();
  }

  zoom(factor, x) {
    this.#times.zoom(factor, x);
    this.#changed();
  }

  /** Point at the bar so many bars on, and say what it is. */
  step(bars) {
    if (!this.#bars?.length) return;
    const last = this.#bars.length - 1;
    const from = this.#pointer === null ? last + (bars < 0 ? 1 : 0) : this.#pointedIndex();
    const index = Math.min(last, Math.max(0, from + bars));
    this.#point(index);
  }

  /** Move by screenfuls. */
  page(pages) {
    this.#times.pan(-pages * 0.9 * this.#plot().right);
    this.#changed();
  }

  first() {
    if (this.#bars?.length) this.#point(0);
  }

  latest() {
    this.#times.showLatest();
    this.#pointer = null;
    this.#changed();
  }

  draw() {
    const { chart: canvas, chartLatest } = this.#page;
    this.dirty = this.late = false;
    const context = this.#prepare(canvas);
    if (context === null) return;
    const view = this.#view(context);
    this.#showLegend();
    const back = view !== null && !this.#times.atEnd;
    if (chartLatest.hidden === back) chartLatest.hidden = !back;
    if (view === null) return;
    this.#paint(view);
    if (this.#times.wantsOlder) this.#bars.readOlder();
  }

  /** A description for screen readers. */
  describe() {
    const { symbol } = this.quote;
    if (!this.#bars?.length) return `Chart of ${symbol}: no bars`;
    const [first, last] = this.#times.range;
    let [low, high] = [this.#bars.at(last), this.#bars.at(last)];
    for (let index = first; index <= last; index += 1) {
      const bar = this.#bars.at(index);
      if (bar.low < low.low) low = bar;
      if (bar.high > high.high) high = bar;
    }
    const [from, to] = [this.#bars.at(first), this.#bars.at(last)];
    const times = `${barTime(from.start, this.#seconds)} to ${barTime(to.start, this.#seconds)}`;
    return `Chart of ${symbol}, ${this.#bars.period} bars, ${times}: from ${grouped(from.candle.open)} to ${grouped(to.candle.close)}, between ${grouped(low.candle.low)} and ${grouped(high.candle.high)}`;
  }

  #changed() {
    this.dirty = true;
    this.#asked();
  }

  #point(index) {
    this.#pointer = { start: this.#bars.at(index).start };
    this.#times.reveal(index);
    this.#announce(this.#legend.read(this.#bars.at(index), this.#seconds));
    this.#changed();
  }

  #pointedIndex() {
    const { start } = this.#pointer;
    let index = this.#bars.length - 1;
    while (index > 0 && this.#bars.at(index).start > start) index -= 1;
    return index;
  }

  /** The canvas at its size, cleared; null if it is too small to draw on. */
  #prepare(canvas) {
    const { width, height } = this.#size;
    const scale = devicePixelRatio;
    const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
    if (canvas.width !== wide || canvas.height !== high) {
      [canvas.width, canvas.height] = [wide, high];
      this.#font = "";
    }
    if (width < LEAST.width || height < LEAST.height || this.quote === null) return null;
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    // Setting it has the page's styles computed, the same one as well.
    if (this.#font !== this.#palette.font) context.font = `11px ${(this.#font = this.#palette.font)}`;
    return context;
  }

  #plot() {
    const { width, height } = this.#size;
    const bottom = height - TIME_AXIS;
    return { right: width - this.#axis, top: TOP, bottom, volume: bottom * VOLUME_SHARE };
  }

  /** What is in view, and where; null if nothing is. */
  #view(context) {
    const bars = this.#bars;
    if (!bars?.length) return null;
    const line = this.isLine;
    const plot = this.#plot();
    this.#times.fit(plot.right, bars.length);
    const range = this.#times.range;
    this.#digits = Math.max(this.#digits, places(bars.at(range[1])?.candle.close ?? ""), this.quote.digits);
    const hasVolume = this.volume && !Number.isNaN(bars.at(bars.length - 1).volume);
    const bottom = plot.bottom - (hasVolume ? plot.volume * 0.85 : 0);
    const prices = priceScale(bars, range, { line, top: plot.top, bottom, digits: this.#digits });
    if (prices === null) return null;
    this.#axis = axisWidth(context, [prices.low, prices.high], this.#digits);
    return {
      ...{ context, bars, range, prices, plot, line, hasVolume, width: this.#size.width },
      ...{ palette: this.#palette, times: this.#times, digits: this.#digits, seconds: this.#seconds },
    };
  }

  #paint(view) {
    const { context, plot, bars, range } = view;
    const apart = MARK_APART / this.#times.spacing;
    const tag = this.#priceTag();
    paintGrid(view, timeMarks(bars, range, this.#seconds, apart), tag.price);
    context.save();
    context.beginPath();
    context.rect(0, 0, plot.right, plot.bottom);
    context.clip();
    if (view.hasVolume) paintVolume(view);
    paintGaps(view);
    if (view.line) paintLine(view);
    else paintCandles(view);
    const { reference: price, referenceName } = this.quote;
    paintReference(view, { price, name: referenceName.replace("the ", "") });
    context.restore();
    paintPrice(view, tag);
    if (this.#pointer !== null) this.#paintPointer(view);
  }

  #priceTag() {
    const { quote } = this;
    const last = this.#bars.at(this.#bars.length - 1);
    const known = quote.values.last !== undefined;
    const price = known ? Number(quote.values.last) : Number.isNaN(quote.price) ? last.close : quote.price;
    const label = known ? grouped(quote.values.last) : grouped(price.toFixed(this.#digits));
    const { up, down, muted } = this.#palette;
    return { price, label, colour: quote.state !== "live" || Number.isNaN(quote.price) ? muted : last.close < last.open ? down : up };
  }

  #paintPointer(view) {
    const index = this.#pointedIndex();
    const { start, close } = this.#bars.at(index);
    const y = Math.min(this.#pointer.y ?? view.prices.y(close), view.plot.bottom);
    paintCross(view, { index, y, time: barTime(start, this.#seconds) });
  }

  #showLegend() {
    const bars = this.#bars;
    const index = this.#pointer === null ? (bars?.length ?? 0) - 1 : this.#pointedIndex();
    this.#legend.show(bars?.at(index), bars?.at(index - 1), this.#seconds);
  }

  /** A window that is moved to another screen may have other pixels. */
  #watchDensity() {
    const query = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    query.addEventListener("change", () => (this.#changed(), this.#watchDensity()), { once: true });
  }
}
