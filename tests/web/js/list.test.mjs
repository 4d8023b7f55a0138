// ticker/web/dashboard: what the list, the search and the alerts calculate, without a page.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fragmentOf, listIn } from "../../../ticker/web/dashboard/address.js";
import { described, judge, problemOf, typedNumber } from "../../../ticker/web/dashboard/alerts.js";
import { sortLines } from "../../../ticker/web/dashboard/columns.js";
import { Directory } from "../../../ticker/web/dashboard/directory.js";
import { compact, grouped, milliseconds, signed, signedPercent } from "../../../ticker/web/dashboard/format.js";
import { Lag } from "../../../ticker/web/dashboard/lag.js";
import { layoutFor } from "../../../ticker/web/dashboard/layout.js";
import { COLUMNS } from "../../../ticker/web/dashboard/columns.js";
import { Quotes } from "../../../ticker/web/dashboard/quotes.js";
import { Places } from "../../../ticker/web/dashboard/virtual.js";
import { Watchlist } from "../../../ticker/web/dashboard/watchlist.js";

const FACTS = { metadata: () => ({}) };
const changeOf = (changes, ms = 0) => ({ changes, time: new Date(ms) });

test("numbers are written exactly, group alike, and have one minus sign", () => {
  assert.deepEqual(["0", "999.50", "1000", "-1234567.00000001", "-0.5"].map(grouped), ["0", "999.50", "1,000", "−1,234,567.00000001", "−0.5"]);
  assert.deepEqual([compact("-1234567"), compact("218543000"), compact(undefined)], ["−1.23M", "218.54M", "–"]);
  assert.deepEqual([signed(-1234.5, 2), signed(0.004, 2), signed(NaN, 2), signed(1, 0)], ["▼ −1,234.50", "0.00", "–", "▲ +1"]);
  assert.deepEqual([signedPercent(-0.05), signedPercent(12.5), signedPercent(Infinity)], ["−5.00 %", "+1,250.00 %", "–"]);
  assert.deepEqual([4.25, 380, 1234, 45_000, NaN].map(milliseconds), ["4.3 ms", "380 ms", "1.2 s", "45 s", "–"]);
});

test("a list in an address comes back as it was, and nothing else does", () => {
  const names = ["BTC-USD", "A&B", "E*[ab]", "Ä%1"];
  assert.deepEqual(listIn(fragmentOf(names, "Mine & more=1")), { names, title: "Mine & more=1" });
  assert.deepEqual(listIn("#A,%zz,A"), { names: ["A", "%zz"], title: "" });
  for (const text of ["", "#", "#,,", `#${"A".repeat(129)}`, "#a%20b"]) assert.equal(listIn(text), null);
});

test("symbols of patterns join in order, once, below the first pattern that matches", () => {
  const quotes = new Quotes();
  const list = new Watchlist(quotes);
  const shown = () => list.lines().map(({ name, symbol, matches }) => symbol ?? `${name}: ${matches}`);
  list.compile(["B*", "BB", "*"]);
  list.add(quotes.apply(changeOf({ BC: { last: "1" }, C: { last: "1" }, BB: { last: "1" } })));
  assert.deepEqual(shown(), ["B*: 1", "BC", "BB", "*: 1", "C"]);
  list.add(quotes.apply(changeOf({ D: { last: "1" }, BA: { last: "1" }, A: { last: "1" } })));
  assert.deepEqual(shown(), ["B*: 2", "BA", "BC", "BB", "*: 3", "A", "C", "D"]);
  const line = list.lineFor("C");
  list.compile(["*", "C"]);
  assert.deepEqual(shown(), ["*: 5", "A", "BA", "BB", "BC", "D", "C"]);
  assert.equal(list.lineFor("C"), line);
});

test("lines without a value are last in either direction, equal ones keep their order", () => {
  const quotes = new Quotes();
  const values = { A: { last: "2" }, B: {}, C: { last: "-10" }, D: { last: "2" }, E: { last: "1000" } };
  quotes.apply(changeOf(values));
  const lines = [{ symbol: null, name: "*" }, ...Object.keys(values).map((symbol) => ({ symbol, quote: quotes.of(symbol) }))];
  const order = (descending, id = "last") => sortLines(lines, { id, descending }, FACTS).map(({ symbol, name }) => symbol ?? name).join("");
  assert.equal(order(false), "*CADEB");
  assert.equal(order(true), "*EADCB");
  assert.equal(order(true, "symbol"), "*EDCBA");
  assert.equal(order(false, "venue"), "*ABCDE");
});

test("of many lines those between two heights are found, heads included", () => {
  const places = new Places();
  places.set([...Array(100_000).keys()], (index) => (index === 0 ? 30 : 48));
  assert.equal(places.total, 30 + 99_999 * 48);
  assert.deepEqual([places.at(-5), places.at(29), places.at(30), places.at(78), places.at(1e9)], [0, 0, 1, 2, 99_999]);
  const [first, last] = places.between(places.top(50_000), places.top(50_010));
  assert.ok(first < 50_000 && first > 49_980 && last > 50_010 && last < 50_030);
  places.set([], () => 1);
  assert.deepEqual([places.at(3), places.total, places.between(0, 9)], [-1, 0, [0, -1]]);
});

test("columns that have room are a beginning of the chosen ones, in a table and on cards", () => {
  const columns = COLUMNS.slice(0, 12);
  for (const width of [320, 390, 619, 620, 820, 1100, 1440, 3000]) {
    const layout = layoutFor({ columns, lengths: { last: 15, symbol: 9, name: 60 }, width, character: 8, bold: 9, density: "comfortable" });
    assert.equal(layout.cards, width < 620);
    assert.equal(layout.shown.length + layout.hidden.length, columns.length, width);
    if (layout.cards) continue;
    assert.deepEqual([...layout.shown, ...layout.hidden], columns);
    const least = [...layout.template.matchAll(/(?:minmax\()?(\d+)px/g)].reduce((sum, [, pixels]) => sum + Number(pixels), 0);
    assert.ok(least <= width, `${least} of ${width}`);
  }
});

test("an alert on a price fires when it is crossed from either side, also by a jump, and not where it began", () => {
  const alert = { symbol: "A", kind: "cross", value: "1.20", base: null, side: null };
  const walk = (...prices) => {
    let side = null;
    return prices.map((price) => {
      const after = judge({ ...alert, side }, { price, state: "live", text: String(price) });
      side = after.side;
      return after.fired !== "";
    });
  };
  assert.deepEqual(walk(1.1, 1.19, 1.3, 1.25, 1.1), [false, false, true, false, true]);
  assert.deepEqual(walk(1.3, 1.2, 1.3), [false, true, true]);
  assert.deepEqual(walk(1.2), [true]);
  assert.deepEqual(walk(NaN, 1.1, NaN, 1.3), [false, false, false, true]);
  assert.equal(judge({ ...alert, side: -1 }, { price: 2, state: "stale", text: "2" }).fired, "");
});

test("an alert on a move counts from its first price, in per cent of its size", () => {
  const alert = { symbol: "A", kind: "move", value: "10", base: null, side: null };
  const seen = (price) => ({ price, state: "live", text: String(price) });
  assert.equal(judge(alert, seen(-50)).base, -50);
  assert.equal(judge({ ...alert, base: -50 }, seen(-46)).fired, "");
  assert.equal(judge({ ...alert, base: -50 }, seen(-44)).fired, "A moved +12.00 %, to -44");
  assert.equal(judge({ ...alert, base: 50 }, seen(45)).fired, "A moved −10.00 %, to 45");
  assert.equal(judge({ ...alert, base: 0 }, seen(45)).base, 45);
  assert.equal(described({ ...alert, base: 1234.5 }), "A moves by 10 % from 1,234.5");
});

test("numbers of alerts are read as people type them, or refused with what to give", () => {
  assert.deepEqual(["1,234.5", "5,5", "−3", " 68 000.5 ", "0,00012", "1'000", "1,234"].map(typedNumber), ["1234.5", "5.5", "-3", "68000.5", "0.00012", "1000", "1234"]);
  assert.equal(problemOf({ kind: "cross", value: "-1.5" }), "");
  assert.equal(problemOf({ kind: "stale", value: "" }), "");
  for (const value of ["", "x", "1e5", "0x10", "1.2.3", "Infinity"]) assert.match(problemOf({ kind: "cross", value }), /^Price: give a number/);
  assert.equal(problemOf({ kind: "move", value: "-1" }), "Per cent: give a number above 0");
});

test("a page is behind by what changes took more than the quickest, whatever the clocks say", () => {
  const lag = new Lag();
  lag.roundTrip = 20;
  const ahead = 5_000; // this clock is so much ahead of the service's
  lag.changed(1_000, 1_030 + ahead);
  lag.painted(1_030 + ahead);
  assert.equal(lag.read(1_100 + ahead), 10);
  lag.changed(2_000, 2_500 + ahead);
  lag.painted(2_530 + ahead);
  assert.equal(lag.read(2_600 + ahead), 510);
  assert.equal(lag.read(9_000 + ahead), 10);
  lag.changed(9_000, 9_030 + ahead);
  assert.equal(lag.read(12_030 + ahead), 3_010); // it waits to be painted
  lag.reset();
  assert.ok(Number.isNaN(lag.read(20_000)));
});

test("of a large service, symbols and names of all instruments are searched", async () => {
  const all = Array.from({ length: 12_000 }, (_, number) => ({ symbol: `S${String(number).padStart(5, "0")}`, metadata: { name: `Name ${number}` } }));
  all.push({ symbol: "ZZTOP", metadata: { name: "Last of all" } });
  const find = async (match, { after = "", text = "" } = {}) => {
    const inner = match.replaceAll("*", "").replace(/\[(.)(.)\]/g, "$2");
    const has = ({ symbol, metadata }) => text.split(" ").every((word) => `${symbol} ${metadata.name}`.toLowerCase().includes(word));
    const found = all.filter((each) => each.symbol > after && (match === "*" || each.symbol.includes(inner)) && has(each));
    return { instruments: found.slice(0, 500), more: found.length > 500 };
  };
  const directory = new Directory(find);
  const read = new Promise((resolve) => directory.addEventListener("read", resolve));
  await directory.load();
  await read;
  assert.deepEqual([directory.complete, directory.large], [false, true]);
  const symbols = async (text) => (await directory.search(text)).map(({ symbol }) => symbol);
  assert.deepEqual(await symbols("name 1234"), ["S01234", "S11234"]);
  assert.deepEqual(await symbols("zzto"), ["ZZTOP"]);
  assert.deepEqual(await symbols("last of all"), ["ZZTOP"]);
  assert.deepEqual(await symbols("name 11999"), ["S11999"]);
  assert.equal(await directory.symbolOf("zztop"), "ZZTOP");
  assert.equal(await directory.symbolOf("s11999"), "S11999");
  assert.equal(await directory.symbolOf("nothing"), undefined);
});
