// Tables in the client's copy: rows that merge by key, what leaves the copy, and its checksum.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TickerError, matcher } from "../../../ticker/web/ticker.js";
import { crc32 } from "../../../ticker/web/client/digest.js";
import { parseTable } from "../../../ticker/web/client/tables.js";
import { Market, changesOf, plain, some, taken } from "./market.mjs";

const BOOK = "EURUSD book:10";

/** A market whose copy has an instrument (0) and its book (7). */
function holding() {
  const market = new Market();
  const subscription = market.subscribe("EURUSD", BOOK);
  market.begin();
  market.define(0, "EURUSD");
  market.define(-7, BOOK);
  market.records(0, { 1: 100 }, -7, { 16: [101, 5, 100, 7], 17: [103, 1, 104, 2], 14: "live" });
  market.take(2, 1, { outcomes: [["EURUSD", 0, ""], [BOOK, 0, ""]] });
  return { market, subscription, replica: market.session.replica };
}

const refuses = (market, ...elements) => {
  const before = JSON.stringify([market.session.replica.values(), market.session.replica.cursor]);
  assert.throws(() => market.take(...elements), TickerError, JSON.stringify(elements));
  assert.equal(JSON.stringify([market.session.replica.values(), market.session.replica.cursor]), before);
};

test("a book has bids from the highest price and asks from the lowest, as exact texts", () => {
  const { replica } = holding();
  assert.deepEqual(plain(replica.values()[BOOK]), {
    status: "live",
    bids: [["1.01", "5"], ["1.00", "7"]],
    asks: [["1.03", "1"], ["1.04", "2"]],
  });
});

test("rows merge by key in changes and replace all in records", () => {
  const { market, replica } = holding();
  market.delta(6, -7, { 16: [100, null, 102, 1, 99, null], 17: [103, 8] });
  const { bids, asks } = replica.values()[BOOK];
  assert.deepEqual(plain({ bids, asks }), { bids: [["1.02", "1"], ["1.01", "5"]], asks: [["1.03", "8"], ["1.04", "2"]] });
  market.records(-7, { 17: [105, 3] });
  assert.deepEqual(plain(replica.values()[BOOK]), { bids: [], asks: [["1.05", "3"]] });
});

test("a client never trims a book, and refuses one with more levels than it may have", () => {
  const { market, replica } = holding();
  const levels = (from, count) => Array.from({ length: count }, (_, index) => [from - index, 1]).flat();
  market.delta(6, -7, { 16: levels(99, 8) });
  assert.equal(replica.values()[BOOK].bids.length, 10);
  refuses(market, 6, 6, 7, 7, [-7, { 16: [200, 1] }]);
  market.delta(7, -7, { 16: [200, 1, 99, null] });
  assert.equal(replica.values()[BOOK].bids[0][0], "2.00");
  refuses(market, 5, 7, 8, 8, [], [-7, { 17: levels(300, 11) }]);
  refuses(market, 5, 7, 8, 8, [], [-7, { 17: [300, null] }]);
});

test("prints and bars keep the rows with the highest keys", () => {
  const market = new Market();
  market.begin();
  market.define(-1, "EURUSD trades:5");
  market.define(-2, "EURUSD candles:1m:3");
  market.records(-1, { 18: [1, 100, 5, 1, 1, null] }, -2, { 19: [60, 1, 2, 1, 2, null, null] });
  const prints = [7, 6, 5, 4, 3, 2].flatMap((number) => [number, 100, 5, 1, -1, "a"]);
  market.delta(6, -1, { 18: prints }, -2, { 19: [240, 1, 2, 1, 2, 9, 1, 0, 1, 1, 1, 1, 9, 1, 120, 3, 3, 3, 3, 9, 1, 180, 1, 1, 1, 1, 9, 1] });
  const values = market.session.replica.values();
  assert.deepEqual(values["EURUSD trades:5"].trades.map(({ number }) => number), [3, 4, 5, 6, 7]);
  assert.deepEqual(plain(values["EURUSD trades:5"].trades[0]), { number: 3, price: "1.00", size: "5", time: 1, side: "sell", id: "a" });
  assert.deepEqual(values["EURUSD candles:1m:3"].candles.map(({ start }) => start), [120, 180, 240]);
  assert.deepEqual(plain(values["EURUSD candles:1m:3"].candles[2]), {
    start: 240, open: "0.01", high: "0.02", low: "0.01", close: "0.02", volume: "9", count: 1,
  });
});

test("numbers may be texts, also as keys, and are put in order as numbers", () => {
  const { market, replica } = holding();
  market.delta(6, -7, { 16: ["-0.5", 3, "1.005", "0.5", "1127313210.00855204", 1, "1.0049", 2], 17: [103, null] });
  assert.deepEqual(plain(replica.values()[BOOK].bids), [
    ["1127313210.00855204", "1"], ["1.01", "5"], ["1.005", "0.5"], ["1.0049", "2"], ["1.00", "7"], ["-0.5", "3"],
  ]);
  market.delta(7, -7, { 16: ["1.005", null, "1127313210.00855204", null, "-0.5", null, "1.0049", null] });
  assert.deepEqual(plain(replica.values()[BOOK].bids), [["1.01", "5"], ["1.00", "7"]]);
});

test("a higher scale changes no row, and its keys are found again", () => {
  const { market, replica } = holding();
  market.define(-7, BOOK, 4, 2);
  assert.deepEqual(plain(replica.values()[BOOK].bids), [["1.0100", "5.00"], ["1.0000", "7.00"]]);
  market.delta(6, -7, { 16: [10100, null] });
  assert.deepEqual(plain(replica.values()[BOOK].bids), [["1.0000", "7.00"]]);
});

test("changes of records that the copy does not hold are ignored, and complete ones are always taken", () => {
  const market = new Market();
  market.begin();
  market.define(0, "EURUSD");
  market.define(-7, BOOK);
  market.delta(6, 0, { 1: 100 }, -7, { 16: [100, 1] });
  assert.deepEqual(plain(market.session.replica.values()), {});
  market.records(-7, { 16: [100, 1] });
  assert.deepEqual(Object.keys(market.session.replica.values()), [BOOK]);
});

test("what is removed leaves the copy, in stream order, and may come back", () => {
  const { market, replica } = holding();
  const { changes, tables } = market.take(10, 5, 6, [0, -7, -7, 99]);
  assert.deepEqual([plain(changes), tables], [{ EURUSD: { bid: null } }, [BOOK]]);
  assert.deepEqual([plain(replica.values()), replica.cursor], [{}, 6]);
  market.delta(7, 0, { 1: 101 }, -7, { 16: [100, 1] });
  assert.deepEqual(plain(replica.values()), {});
  market.records(0, { 1: 102 });
  assert.equal(replica.values().EURUSD.bid, "1.02");
  refuses(market, 10, 8, 8, [0]);
  refuses(market, 10, 6, 6, [0]);
  refuses(market, 10, 7, 8, [0, "7"]);
});

test("rows that are not whole, or have a value that they cannot have, are refused", () => {
  const { market } = holding();
  market.define(-1, "EURUSD trades:5");
  market.define(-2, "EURUSD candles:1m:3");
  market.records(-1, {}, -2, {});
  const trade = [1, 100, 5, 1, 1, null];
  const bar = [60, 1, 2, 1, 2, null, null];
  const other = (row, column, cell) => row.map((each, index) => (index === column ? cell : each));
  for (const [id, fields] of [
    [-7, { 16: [100] }], [-7, { 16: [100, 1, 100, 1] }], [-7, { 16: 100 }], [-7, { 16: "100" }], [-7, { 16: [1.5, 1] }], [-7, { 16: [100, true] }], [-7, { 16: [null, 1] }],
    [-7, { 16: ["1e3", 1] }], [-7, { 18: [] }], [-7, { 18: null }], [-7, { 19: bar }], [-7, { 1: 100 }], [-7, { note: "x" }], [0, { 16: [100, 1] }], [-1, { 16: [] }], [-1, { 18: trade.slice(1) }],
    [-1, { 18: other(trade, 0, -1) }], [-1, { 18: other(trade, 1, null) }], [-1, { 18: other(trade, 3, null) }],
    [-1, { 18: other(trade, 4, 0) }], [-1, { 18: other(trade, 5, "x".repeat(257)) }], [-2, { 19: other(bar, 0, "60") }],
    [-2, { 19: other(bar, 1, null) }], [-2, { 19: other(bar, 6, "1") }], [-2, { 19: other(bar, 0, 1e12) }],
  ]) refuses(market, 6, 5, 6, 6, [0, { 1: 107 }, id, fields]);
  market.delta(6, -7, { 99: 1, 16: null }, -1, { 18: trade }, -2, { 19: bar });
  assert.deepEqual(plain(market.session.replica.values()[BOOK].bids), []);
});

test("tables without end are refused", () => {
  const market = new Market();
  market.begin();
  for (let id = 0; id < 2; id++) market.define(id - 2, `A book:99999${id}`);
  market.define(-3, "A candles:1m:300");
  market.records(-2, {}, -1, {});
  market.take(10, 5, 5, [-1]);
  market.records(-1, {});
  refuses(market, 5, 5, 5, 5, [], [-3, {}]);
});

test("rows that do not change stay the same objects, and so does the array", () => {
  const { market, replica } = holding();
  const first = replica.find(BOOK).present();
  market.delta(6, -7, { 16: [101, 5] }, 0, { 1: 101 });
  market.delta(7, -7, { 17: [103, 2] });
  const second = replica.find(BOOK).present();
  assert.notEqual(second, first);
  assert.deepEqual([second.bids[0] === first.bids[0], second.asks[0] === first.asks[0], second.asks[1] === first.asks[1]], [true, false, true]);
  market.records(-7, { 16: [101, 5, 100, 7], 17: [103, 2] });
  const third = replica.find(BOOK).present();
  assert.deepEqual([third.bids[1] === first.bids[1], third.asks[0] === second.asks[0]], [true, true]);
  assert.throws(() => third.bids.push(["1", "1"]), TypeError);
  assert.throws(() => (third.bids[0][0] = "1"), TypeError);
});

// The checksum

test("the checksum of a copy is that of PROTOCOL.md, section 5", () => {
  assert.equal(crc32("123456789"), 3421780262);
  const market = new Market();
  market.begin();
  market.define(0, "EURUSD", 5, 0);
  market.define(-1, "EURUSD book:10", 5, 0);
  market.define(-2, "EURUSD trades:10", 5, 0);
  market.define(9, "XAUUSD", 2, 0);
  market.records(
    0, { rate: ["0.0001"], note: '15 € "fix"', depth: -1, 14: "live", 2: 1000000, 1: 139121 },
    -1, { 17: [], 16: [139120, 500000, 139121, 1000000], 14: "live" },
    -2, { 18: [42, 139121, 250000, 1399507208716000, 1, "a7", 41, 139122, "0.5", 1399507208715000, -1, null], 15: "gap", 14: "stale" },
    9, {},
  );
  assert.equal(market.session.replica.digest(), 1802351374);
});

test("a copy is compared with the server's at the cut of the reply", () => {
  const { market, replica } = holding();
  const verdict = (cut, digest) => {
    const { id } = market.session.request("digest", {});
    return market.take(2, id, { cut, digest, records: 2 }).verdict;
  };
  assert.deepEqual(verdict(5, replica.digest()), { cut: 5, equal: true });
  assert.deepEqual(verdict(5, (replica.digest() + 1) % 2 ** 32), { cut: 5, equal: false });
  assert.deepEqual(verdict(4, replica.digest()), { cut: 4, equal: undefined });
  assert.throws(() => verdict(5, "1"), TickerError);
});

// Names

test("a pattern over symbols matches no table, and one with a table matches that one", () => {
  const fits = (name, ...records) => records.filter(matcher(name));
  assert.deepEqual(fits("*", "EURUSD", BOOK), ["EURUSD"]);
  assert.deepEqual(fits("EUR* book:10", "EURUSD", BOOK, "EURUSD book:25", "XAUUSD book:10"), [BOOK]);
  assert.deepEqual(fits(BOOK, "EURUSD", BOOK), [BOOK]);
  assert.deepEqual(parseTable("candles:15m:300"), { kind: "candles", rows: 300, period: "15m" });
  for (const text of ["book", "book:0", "book:1234567", "candles:300", "candles:m:3", "depth:10", "book:10 ", "book:1 0"]) {
    assert.equal(parseTable(text), undefined, text);
  }
});

// A subscription to tables

test("a subscription gets all rows first, and then those that changed, merged while its loop is busy", async () => {
  const { market, subscription } = holding();
  const events = changesOf(subscription);
  const [first] = await some(subscription, 1);
  assert.deepEqual(plain(first.changes), {
    EURUSD: { bid: "1.00" },
    [BOOK]: { status: "live", bids: [["1.01", "5"], ["1.00", "7"]], asks: [["1.03", "1"], ["1.04", "2"]] },
  });
  market.delta(6, -7, { 16: [101, null, 99, 1] });
  market.delta(7, -7, { 16: [99, null, 98, 2], 14: "stale", 15: "gap" });
  market.delta(8, -7, { 16: [102, 3, 98, 4] });
  const [merged, ...more] = await taken(subscription);
  assert.deepEqual(plain(merged.changes), {
    [BOOK]: { status: "stale", reason: "gap", bids: [["1.02", "3"], ["0.98", "4"], ["1.01", null]] },
  });
  assert.deepEqual(more, []);
  assert.deepEqual(events.map(({ change }) => plain(change.changes[BOOK].bids)), [
    [["0.99", "1"], ["1.01", null]], [["0.98", "2"], ["0.99", null]], [["1.02", "3"], ["0.98", "4"]],
  ]);
});

test("a loop that never reads costs no more than the table, whatever happens", async () => {
  const { market, subscription } = holding();
  await some(subscription, 1);
  for (let cut = 6; cut < 2000; cut++) market.delta(cut, -7, { 16: [100 + cut, 1, 99 + cut, null] });
  const [{ changes }] = await taken(subscription);
  assert.ok(changes[BOOK].bids.length <= 13, String(changes[BOOK].bids.length));
});

test("a table that leaves the copy takes its levels along", async () => {
  const { market, subscription } = holding();
  await taken(subscription);
  market.take(10, 5, 6, [-7]);
  const [{ changes }] = await taken(subscription);
  assert.deepEqual(plain(changes), { [BOOK]: { status: null, bids: [["1.01", null], ["1.00", null]], asks: [["1.03", null], ["1.04", null]] } });
});

test("after a new beginning a subscription gets what differs from what it had", async () => {
  const { market, subscription } = holding();
  await taken(subscription);
  market.begin({ epoch: "f", cut: 2 });
  market.define(-3, BOOK, 2, 0);
  market.records(-3, { 16: [101, 5, 99, 1], 14: "live" });
  assert.deepEqual(await taken(subscription), []);
  market.take(2, 2, { outcomes: [["EURUSD", 6, ""], [BOOK, 0, ""]] });
  const [{ changes, cut }] = await taken(subscription);
  assert.equal(cut, 2);
  assert.deepEqual(plain(changes), {
    EURUSD: { bid: null },
    [BOOK]: { bids: [["0.99", "1"], ["1.00", null]], asks: [["1.03", null], ["1.04", null]] },
  });
});

test("words of a status that are of a later version count as stale", () => {
  const { market, replica } = holding();
  market.delta(6, 0, { 14: "auction" }, -7, { 14: "auction" });
  assert.deepEqual([replica.values().EURUSD.status, replica.values()[BOOK].status], ["stale", "stale"]);
});

test("what one reader was given stays as it is while more is merged for another one, and fields of a later version are left out", async () => {
  const market = new Market();
  market.begin();
  const [quick, slow] = [market.subscribe("EURUSD"), market.subscribe("EURUSD")];
  market.define(1, "EURUSD");
  market.records(1, { 1: 100, 14: "live" });
  market.answer();
  const given = [];
  quick.addEventListener("change", ({ change }) => given.push(change.changes));
  assert.equal((await some(slow, 1)).length, 1);
  market.delta(6, 1, { 1: 101, 999: 5 });
  market.delta(7, 1, { 3: 103 });
  market.delta(8, 1, { 1: 102 });
  assert.deepEqual(plain(given), [
    { EURUSD: { bid: "1.01" } }, { EURUSD: { ask: "1.03" } }, { EURUSD: { bid: "1.02" } },
  ]);
  const [merged] = await taken(slow);
  assert.deepEqual(plain(merged.changes), { EURUSD: { bid: "1.02", ask: "1.03" } });
  for (const { EURUSD } of [merged.changes, ...given]) assert.equal(Object.getPrototypeOf(EURUSD), null);
});
