// ticker/web/dashboard: what it calculates, without a page. Run with TZ=Europe/Berlin, where days have 23 and 25 hours.

import assert from "node:assert/strict";
import { test } from "node:test";

import { difference, groupOf, groupsOf, stepsFor } from "../../../ticker/web/dashboard/book_groups.js";
import { ceilTo, floorTo, scaleOf, textOf, unitsOf } from "../../../ticker/web/dashboard/decimals.js";
import { priceMarks, priceScale } from "../../../ticker/web/dashboard/price_scale.js";
import { barTime, timeMarks, TimeScale } from "../../../ticker/web/dashboard/time_scale.js";

const seconds = (text) => Date.parse(text) / 1000;
const barsAt = (starts) => starts.map((start) => ({ start }));
const every = (step, count, first) => Array.from({ length: count }, (_, index) => first + index * step);
const marksOf = (starts, period, least) =>
  timeMarks(barsAt(starts), [0, starts.length - 1], period, least)
    .sort((one, other) => one.index - other.index)
    .map(({ index, text }) => [index, text]);

test("decimal texts are exact beyond what a float holds", () => {
  for (const [text, scale] of [["0.00000001", 8], ["-0.50", 2], ["123456789012345678901234.5", 1], ["7", 0], ["-3", 0]]) {
    assert.equal(textOf(unitsOf(text, scale), scale), text);
  }
  assert.equal(textOf(unitsOf("1.5", 4), 4), "1.5000");
  assert.equal(scaleOf(["1", "1.25", "0.1"]), 2);
  assert.deepEqual([floorTo(-7n, 5n), ceilTo(-7n, 5n), floorTo(7n, 5n), ceilTo(7n, 5n), floorTo(-10n, 5n)], [-10n, -5n, 5n, 10n, -10n]);
  assert.equal(difference("1.08504", "1.0850"), "0.00004");
  assert.equal(difference("0.1", "0.30"), "-0.20");
});

test("levels are grouped so that no group is better than its levels, with exact sums", () => {
  const bids = [["100.07", "0.1"], ["100.05", "0.2"], ["100.04", "1"], ["99.99", "5"]];
  const asks = [["100.08", "0.1"], ["100.10", "0.2"], ["100.11", "3"]];
  const group = (levels, isBid, isWhole) => groupsOf(levels, { multiple: 5, scale: 2, isBid, count: 10, isWhole });
  const shown = (groups) => groups.map(({ price, size, total }) => [price, size, total]);
  assert.deepEqual(shown(group(bids, true, true)), [["100.05", "0.3", "0.3"], ["100.00", "1.0", "1.3"], ["99.95", "5.0", "6.3"]]);
  assert.deepEqual(shown(group(asks, false, true)), [["100.10", "0.3", "0.3"], ["100.15", "3.0", "3.3"]]);
});

test("the deepest group is marked where the book may have more levels of it", () => {
  const levels = [["1.00", "1"], ["0.99", "1"], ["0.94", "1"]];
  const partial = (options) => groupsOf(levels, { multiple: 5, scale: 2, isBid: true, count: 10, isWhole: false, ...options }).map((each) => each.partial);
  assert.deepEqual(partial({}), [false, false, true]);
  assert.deepEqual(partial({ isWhole: true }), [false, false, false]);
  assert.deepEqual(partial({ count: 2 }), [false, false]);
  assert.deepEqual(partial({ multiple: 1 }), [false, false, false]);
});

test("prices below zero group downwards for bids and upwards for asks", () => {
  assert.equal(groupOf("-37.63", { multiple: 10, scale: 2, isBid: true }), "-37.70");
  assert.equal(groupOf("-37.63", { multiple: 10, scale: 2, isBid: false }), "-37.60");
  assert.equal(groupOf("-0.04", { multiple: 10, scale: 2, isBid: false }), "0.00");
});

test("steps are multiples of the price unit, and none is large for the price", () => {
  const texts = (bids, asks = []) => stepsFor({ bids, asks }).map(({ text }) => text);
  assert.deepEqual(texts([["1.08504", "1"]]), ["0.00001", "0.00005", "0.00010", "0.00050", "0.00100", "0.00500", "0.01000"]);
  assert.deepEqual(texts([], [["0.00000012", "1"]]), ["0.00000001"]);
  assert.equal(texts([["65000.00", "1"]]).at(-1), "100.00");
  assert.deepEqual(texts([["-37.63", "1"]]), ["0.01", "0.05", "0.10"]);
});

test("the bar under the pointer stays there when the chart is zoomed, and one looks at the same bars when new ones come", () => {
  const times = new TimeScale();
  times.fit(600, 1000);
  const index = times.indexAt(200);
  const x = times.x(index);
  times.zoom(2, x);
  assert.ok(Math.abs(times.x(index) - x) < 1e-6);
  assert.ok(times.atEnd === false || times.spacing > 6);
  times.pan(900);
  const looked = times.indexAt(300);
  times.append(3);
  times.fit(600, 1003);
  assert.equal(times.indexAt(300), looked);
  times.showLatest();
  assert.ok(times.atEnd);
  times.append(1);
  times.fit(600, 1004);
  assert.ok(times.x(1003) < 600, "the newest bar comes into view by itself");
});

test("a chart cannot be moved until it is empty, and older bars are wanted before they are seen", () => {
  const times = new TimeScale();
  times.fit(600, 300);
  assert.equal(times.wantsOlder, false);
  times.pan(1e9);
  assert.equal(times.wantsOlder, true);
  assert.ok(times.range[1] >= times.range[0]);
  times.pan(-1e9);
  assert.ok(times.range[1] >= times.range[0]);
  times.zoom(1e-9);
  times.zoom(1e9);
  assert.ok(times.spacing <= 48);
});

test("an hour that comes twice is labelled twice, and one that does not come is not", () => {
  const autumn = every(3600, 6, seconds("2025-10-25T22:00:00Z"));
  assert.deepEqual(marksOf(autumn, 3600, 1).map(([, text]) => text), ["01:00", "02:00", "02:00", "03:00", "04:00"]);
  const spring = every(3600, 5, seconds("2025-03-29T23:00:00Z"));
  assert.deepEqual(marksOf(spring, 3600, 1).map(([, text]) => text), ["01:00", "03:00", "04:00", "05:00"]);
});

test("days begin with their date, and months and years with their name", () => {
  const minutes = every(300, 60, seconds("2025-11-27T21:00:00Z"));
  assert.ok(marksOf(minutes, 300, 10).some(([index, text]) => index === 24 && text === "28 Nov"));
  const days = every(86_400, 400, seconds("2025-01-01T00:00:00Z"));
  const texts = marksOf(days, 86_400, 25).map(([, text]) => text);
  assert.deepEqual(texts, ["Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "2026", "Feb"]);
});

test("a day has the date in which most of it lies, whichever hour of which zone it begins at", () => {
  const now = new Date("2025-12-31T12:00:00Z");
  const date = (text) => barTime(seconds(text), 86_400, now);
  assert.equal(date("2025-11-28T00:00:00Z"), "28 Nov");
  assert.equal(date("2025-11-28T05:00:00Z"), "28 Nov"); // New York
  assert.equal(date("2025-11-27T22:00:00Z"), "28 Nov"); // a day of currencies, from 17:00 in New York
  assert.equal(date("2024-11-28T00:00:00Z"), "28 Nov 2024");
});

test("the time of a bar has its date unless that is today", () => {
  const now = new Date("2025-11-28T12:00:00Z");
  assert.equal(barTime(seconds("2025-11-28T08:05:00Z"), 60, now), "09:05");
  assert.equal(barTime(seconds("2025-11-27T08:05:00Z"), 60, now), "27 Nov 09:05");
  assert.equal(barTime(seconds("2025-11-28T08:05:07Z"), 1, now), "09:05:07");
});

test("labels of times keep their distance, also around holes", () => {
  const starts = [...every(60, 100, seconds("2025-11-27T10:00:00Z")), ...every(60, 100, seconds("2025-11-28T10:07:00Z"))];
  const marks = marksOf(starts, 60, 12);
  assert.ok(marks.some(([index]) => index === 100));
  for (let at = 1; at < marks.length; at += 1) assert.ok(marks[at][0] - marks[at - 1][0] >= 12);
});

test("a price scale holds what is in view, of one price too, and of prices below zero", () => {
  const bar = (low, high, close = high) => ({ low, high, close });
  const options = { line: false, top: 0, bottom: 100, digits: 2 };
  const flat = priceScale([bar(5, 5)], [0, 0], options);
  assert.ok(flat.low < 5 && flat.high > 5);
  const below = priceScale([bar(-40, -36), bar(-38, 2)], [0, 1], options);
  assert.ok(below.low < -40 && below.high > 2);
  assert.ok(Math.abs(below.price(below.y(-10)) + 10) < 1e-9);
  assert.equal(priceScale([], [0, -1], options), null);
  assert.deepEqual(priceMarks({ low: -1.2, high: 2.4 }, 100, 25, 2), [-1, 0, 1, 2]);
  assert.deepEqual(priceMarks({ low: 0.00000001, high: 0.00000004 }, 300, 40, 8).length, 4);
});

test("prices closer to each other than floats tell apart have a scale and a few marks", () => {
  for (const [price, digits] of [[-123456789012.12345, 9], [12345.678, 15], [9e37, 0], [100, 15]]) {
    const candle = { low: price, high: price, close: price };
    const scale = priceScale([candle], [0, 0], { line: false, top: 0, bottom: 300, digits });
    const marks = priceMarks(scale, 300, 44, digits);
    assert.ok(marks.length >= 2 && marks.length <= 7, `${marks.length} marks`);
    assert.equal(new Set(marks).size, marks.length);
    assert.ok(Math.abs(scale.y(price) - 150) < 10);
  }
});
