// What is drawn of a chart. Each function draws one layer of a view: `{ context, palette, bars, times, prices, range, plot, ... }`.

import { grouped } from "./format.js";
import { priceMarks } from "./price_scale.js";

const LABEL_APART = 44;
const TAG_HEIGHT = 18;
const GAP_PERIODS = 10; // without a bar: a line says that time was left out

/** A coordinate on the grid of the screen's pixels. */
const crisp = (at) => Math.round(at * devicePixelRatio) / devicePixelRatio;
const text = (price, digits) => grouped(price.toFixed(digits));

/** Lines and labels at round prices, but for a label under the tag of the present price, and at these times. */
export function paintGrid(view, marks, tagged) {
  const { context, palette, prices, times, plot, digits } = view;
  context.lineWidth = 1;
  context.strokeStyle = palette.line;
  context.fillStyle = palette.muted;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.beginPath();
  for (const price of priceMarks(prices, plot.bottom - plot.top, LABEL_APART, digits)) {
    const y = crisp(prices.y(price)) + 0.5;
    if (y > plot.bottom) continue;
    context.moveTo(0, y);
    context.lineTo(plot.right, y);
    if (y > 7 && !(Math.abs(y - prices.y(tagged)) < TAG_HEIGHT - 2)) context.fillText(text(price, digits), plot.right + 8, y);
  }
  context.textAlign = "center";
  for (const { index, text: label, strong } of marks) {
    const x = crisp(times.x(index)) + 0.5;
    context.moveTo(x, 0);
    context.lineTo(x, plot.bottom);
    context.fillStyle = strong ? palette.text : palette.muted;
    const half = context.measureText(label).width / 2;
    if (x > half && x < plot.right) context.fillText(label, Math.min(x, plot.right - half), plot.bottom + 14);
  }
  context.moveTo(0, crisp(plot.bottom) + 0.5);
  context.lineTo(plot.right, crisp(plot.bottom) + 0.5);
  context.stroke();
}

/** A dashed line where many periods have no bar: the service was not there, or the market was closed. */
export function paintGaps(view) {
  const { context, palette, bars, times, range, plot, seconds } = view;
  context.strokeStyle = palette.muted;
  context.globalAlpha = 0.6;
  context.setLineDash([3, 5]);
  context.beginPath();
  for (let index = Math.max(1, range[0]); index <= range[1]; index += 1) {
    if (bars.at(index).start - bars.at(index - 1).start <= GAP_PERIODS * seconds) continue;
    const x = crisp((times.x(index) + times.x(index - 1)) / 2);
    context.moveTo(x, 0);
    context.lineTo(x, plot.bottom);
  }
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
}

/** Volumes along the bottom. */
export function paintVolume(view) {
  const { context, palette, bars, times, range, plot } = view;
  let most = 0;
  for (let index = range[0]; index <= range[1]; index += 1) most = Math.max(most, bars.at(index).volume || 0);
  if (most === 0) return;
  const wide = bodyWidth(times.spacing);
  const [rising, falling] = [new Path2D(), new Path2D()];
  for (let index = range[0]; index <= range[1]; index += 1) {
    const { open, close, volume } = bars.at(index);
    if (!(volume > 0)) continue;
    const high = Math.max(1, (volume / most) * plot.volume);
    (close < open ? falling : rising).rect(crisp(times.x(index) - wide / 2), plot.bottom - high, wide, high);
  }
  context.globalAlpha = 0.3;
  for (const [path, colour] of [[rising, palette.up], [falling, palette.down]]) {
    context.fillStyle = colour;
    context.fill(path);
  }
  context.globalAlpha = 1;
}

export function paintCandles(view) {
  const { context, palette, bars, times, prices, range } = view;
  const wide = bodyWidth(times.spacing);
  const stick = Math.max(1 / devicePixelRatio, Math.min(1.5, wide / 4));
  const [rising, falling] = [new Path2D(), new Path2D()];
  for (let index = range[0]; index <= range[1]; index += 1) {
    const { open, high, low, close } = bars.at(index);
    const path = close < open ? falling : rising;
    const x = times.x(index);
    const [top, bottom] = [crisp(prices.y(Math.max(open, close))), crisp(prices.y(Math.min(open, close)))];
    path.rect(crisp(x - stick / 2), prices.y(high), stick, Math.max(1, prices.y(low) - prices.y(high)));
    path.rect(crisp(x - wide / 2), top, wide, Math.max(1, bottom - top));
  }
  for (const [path, colour] of [[rising, palette.up], [falling, palette.down]]) {
    context.fillStyle = colour;
    context.fill(path);
  }
}

export function paintLine(view) {
  const { context, palette, bars, times, prices, range, plot } = view;
  const line = new Path2D();
  for (let index = range[0]; index <= range[1]; index += 1) line.lineTo(times.x(index), prices.y(bars.at(index).close));
  const area = new Path2D(line);
  area.lineTo(times.x(range[1]), plot.bottom);
  area.lineTo(times.x(range[0]), plot.bottom);
  area.closePath();
  context.fillStyle = context.strokeStyle = palette.accent;
  context.globalAlpha = 0.1;
  context.fill(area);
  context.globalAlpha = 1;
  context.lineWidth = 1.6;
  context.lineJoin = "round";
  if (range[0] < range[1]) context.stroke(line);
  else point(context, times.x(range[1]), prices.y(bars.at(range[1]).close));
}

/** The price from which the feed counts the change. */
export function paintReference(view, { price, name }) {
  const { context, palette, prices, plot } = view;
  if (!(price > prices.low && price < prices.high)) return;
  const y = crisp(prices.y(price)) + 0.5;
  context.strokeStyle = context.fillStyle = palette.muted;
  dashed(context, [1, 4], 0, y, plot.right, y);
  context.textAlign = "left";
  context.textBaseline = "bottom";
  context.strokeStyle = palette.surface; // bars behind it would make it hard to read
  context.lineWidth = 3;
  context.strokeText(name, 6, y - 2);
  context.fillText(name, 6, y - 2);
}

/** The present price: a line, and a tag on the axis. */
export function paintPrice(view, { price, label, colour }) {
  const { context, palette, prices, plot } = view;
  if (Number.isNaN(price)) return;
  const y = Math.min(plot.bottom, Math.max(plot.top, prices.y(price)));
  context.strokeStyle = colour;
  if (price > prices.low && price < prices.high) dashed(context, [3, 3], 0, crisp(y) + 0.5, plot.right, crisp(y) + 0.5);
  tag(view, plot.right + 2, y, label, colour, palette.surface);
}

/** Lines through a bar and a price, with both on the axes. */
export function paintCross(view, { index, y, time }) {
  const { context, palette, times, prices, bars, plot } = view;
  const x = crisp(times.x(index)) + 0.5;
  context.strokeStyle = palette.muted;
  dashed(context, [4, 4], x, 0, x, plot.bottom);
  dashed(context, [4, 4], 0, crisp(y) + 0.5, plot.right, crisp(y) + 0.5);
  if (view.line) {
    context.fillStyle = palette.accent;
    point(context, times.x(index), prices.y(bars.at(index).close));
  }
  tag(view, plot.right + 2, y, text(prices.price(y), view.digits), palette.text, palette.surface);
  const half = context.measureText(time).width / 2 + 6;
  const middle = Math.min(Math.max(x, half), plot.right - half);
  box(context, middle - half, plot.bottom + 14 - TAG_HEIGHT / 2, 2 * half, palette.text);
  context.fillStyle = palette.surface;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(time, middle, plot.bottom + 14.5);
}

/** The width that the labels of these prices need. */
export function axisWidth(context, prices, digits) {
  const widest = Math.max(...prices.map((price) => context.measureText(text(price, digits)).width));
  return Math.ceil((widest + 16) / 8) * 8;
}

function bodyWidth(spacing) {
  const wide = Math.max(1, Math.floor(spacing * 0.72));
  return wide > 2 && wide % 2 === 0 ? wide - 1 : wide;
}

function tag({ context, width }, left, y, label, colour, ink) {
  box(context, left, y - TAG_HEIGHT / 2, width - left, colour);
  context.fillStyle = ink;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillText(label, left + 6, y + 0.5);
}

function box(context, left, top, wide, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(left, top, wide, TAG_HEIGHT, 3);
  context.fill();
}

function dashed(context, pattern, x, y, toX, toY) {
  context.lineWidth = 1;
  context.setLineDash(pattern);
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(toX, toY);
  context.stroke();
  context.setLineDash([]);
}

function point(context, x, y) {
  context.beginPath();
  context.arc(x, y, 3.5, 0, 7);
  context.fill();
}
