// What users read from tables: books, trades and candles.

import assert from "node:assert/strict";
import { test } from "node:test";
import { FEATURES, Market, SECOND, changesOf, plain, some, taken } from "./market.mjs";

/** A market that is connected and whose requests were answered. */
function open(more) {
  const market = new Market();
  market.begin(more);
  return market;
}

// Books

function withBook(depth = 10) {
  const market = open();
  const book = market.book("EURUSD", depth);
  market.define(-7, book.name);
  market.records(-7, { 16: [101, 5, 100, 7], 17: [103, 1], 14: "live" });
  return { market, book };
}

test("a book is stale until it is there, and then what the service says", async () => {
  const { market, book } = withBook();
  const events = changesOf(book);
  assert.deepEqual([book.status, book.reason, book.bids.length], ["stale", "no_data", 0]);
  market.answer();
  await book.complete();
  assert.deepEqual([book.status, book.reason, book.cut], ["live", undefined, 5]);
  assert.deepEqual(plain([book.bids, book.asks]), [[["1.01", "5"], ["1.00", "7"]], [["1.03", "1"]]]);
  market.delta(6, -7, { 14: "stale", 15: "gap" });
  assert.deepEqual([book.status, book.reason, book.cut], ["stale", "gap", 6]);
  assert.equal(events.length, 2);
  assert.equal(events[0].book, book);
});

test("a book that no feed has given is empty and stale", async () => {
  const market = open();
  const book = market.book("EURUSD", 10);
  market.answer({ [book.name]: 6 });
  await book.complete();
  assert.deepEqual([book.status, book.reason, book.bids], ["stale", "no_data", []]);
  assert.deepEqual(await taken(book), [book]);
});

test("a loop over a book runs once at first and after each change, and skips what it is too slow for", async () => {
  const { market, book } = withBook();
  market.answer();
  assert.deepEqual(await some(book, 1), [book]);
  market.delta(6, -7, { 16: [101, 6] });
  market.delta(7, -7, { 16: [101, 7] });
  assert.deepEqual(await taken(book), [book]);
  assert.equal(book.bids[0][1], "7");
  market.delta(8, -7, { 16: [101, 7] });
  assert.deepEqual(await taken(book), []);
});

test("the arrays of a book are the same objects until a level of them changes", () => {
  const { market, book } = withBook();
  market.answer();
  const { bids, asks } = book;
  market.delta(6, -7, { 16: [100, 8] });
  assert.deepEqual([book.bids === bids, book.asks === asks], [false, true]);
});

test("a depth that is not offered is the next larger one, of which no more is shown", () => {
  const { market, book } = withBook(1);
  assert.equal(book.name, "EURUSD book:10");
  market.answer();
  const events = changesOf(book);
  assert.deepEqual(plain(book.bids), [["1.01", "5"]]);
  market.delta(6, -7, { 16: [100, 8] }); // below what is shown
  assert.deepEqual([events.length, book.cut], [0, 6]);
  assert.equal(market.book("XAUUSD", 11).name, "XAUUSD book:25");
  assert.throws(() => market.book("XAUUSD", 101), /^TickerError: book with 101 rows: the service has book of 10, 25, 100$/);
});

test("without a connection a book is stale and shows its last moment, until a complete one is there again", async () => {
  const { market, book } = withBook();
  market.answer();
  await taken(book);
  market.readers.lost();
  assert.deepEqual([book.status, book.reason, book.bids.length], ["stale", "reconnecting", 2]);
  assert.deepEqual(await taken(book), [book]);
  market.begin({ epoch: "f" });
  market.define(-3, book.name);
  market.records(-3, { 16: [99, 1] });
  assert.deepEqual([book.status, book.bids.length], ["stale", 2]);
  market.take(2, 2, { outcomes: [[book.name, 0, ""]] });
  assert.deepEqual([book.status, plain(book.bids)], ["live", [["0.99", "1"]]]);
});

test("a book that is taken away is empty and stale", () => {
  const { market, book } = withBook();
  market.answer();
  market.take(10, 5, 6, [-7]);
  assert.deepEqual([book.status, book.reason, book.bids, book.asks], ["stale", "no_data", [], []]);
});

test("a table that was asked for before the first connection is chosen with it", async () => {
  const market = new Market();
  const [book, candles, none] = [market.book("A", 12), market.candles("A", "1h", 4), market.candles("A", "7m", 4)];
  assert.equal(book.name, "A book:12");
  market.begin();
  assert.deepEqual([book.name, candles.name], ["A book:25", "A candles:1h:10"]);
  assert.deepEqual([...market.session.wanted], ["A book:25", "A candles:1h:10"]);
  await assert.rejects(none.next(), /^TickerError: candles of 7m: the service has candles of 1m, 1h, 1d$/);
  await assert.rejects(none.complete(), { code: 12 });
  const empty = new Market();
  const trades = empty.trades("A", 5);
  empty.begin({ features: {} });
  await assert.rejects(trades.next(), /^TickerError: trades with 5 rows: the service has no trades$/);
});

test("another service may have other tables", () => {
  const { market, book } = withBook();
  market.answer();
  const requests = market.begin({ epoch: "f", features: { ...FEATURES, book: [50] } });
  assert.equal(book.name, "EURUSD book:50");
  assert.deepEqual(requests.map(({ symbols }) => symbols), [["EURUSD book:50"]]);
});

test("a table that the server refuses ends with what there is", async () => {
  for (const [code, text] of [[12, /EURUSD book:10 was refused: no/], [13, /EURUSD book:10 was refused: no; subscribe fewer/]]) {
    const { market, book } = withBook();
    market.answer({ [book.name]: code });
    await assert.rejects(book.next(), (error) => error.code === code && text.test(error.message));
    assert.equal(book.status, "stale");
    assert.equal(market.session.wanting, false);
  }
});

test("a closed book ends its loops, and is given up", async () => {
  const { market, book } = withBook();
  const waiting = book.next();
  book.close();
  assert.equal((await waiting).done, true);
  assert.equal((await book.next()).done, true);
  assert.equal(market.session.wanting, false);
});

// Trades

const print = (number, price = 100, more = {}) => {
  const { size = 1, time = number, side = 1, id = null } = more;
  return [number, price, size, time, side, id];
};

function withTrades(count, ...prints) {
  const market = open();
  const trades = market.trades("EURUSD", count);
  market.define(-8, trades.name);
  market.records(-8, { 18: prints.flat() });
  market.answer();
  return { market, trades };
}

const told = (trades) => trades.map(({ number, missed, correction }) => [number, missed, correction]);

test("a loop over trades begins with the latest, and has each later one once", async () => {
  const { market, trades } = withTrades(3, print(4), print(5), print(6), print(7));
  const events = changesOf(trades);
  assert.deepEqual(trades.latest.map(({ number }) => number), [5, 6, 7]);
  assert.deepEqual(told(await taken(trades)), [[5, 0, false], [6, 0, false], [7, 0, false]]);
  market.delta(6, -8, { 18: [...print(9), ...print(8)] });
  market.delta(7, -8, { 18: [...print(9), ...print(10, 101, { side: null, id: "a7", size: "0.5" })] });
  const later = await taken(trades);
  assert.deepEqual(told(later), [[8, 0, false], [9, 0, false], [10, 0, false]]);
  assert.deepEqual(events.map((event) => told(event.trades)), [[[8, 0, false], [9, 0, false]], [[10, 0, false]]]);
  assert.deepEqual({ ...later[2] }, {
    number: 10, price: "1.01", size: "0.5", time: new Date(0.01), timeUs: 10, side: null, id: "a7",
    missed: 0, correction: false, restarted: false,
  });
});

test("a loop that is lapped is told the exact number of trades that it missed", async () => {
  const { market, trades } = withTrades(5, print(1));
  await some(trades, 1);
  for (let number = 2; number <= 20; number++) market.delta(5 + number, -8, { 18: print(number) });
  assert.deepEqual(told(await taken(trades)), [[16, 14, false], [17, 0, false], [18, 0, false], [19, 0, false], [20, 0, false]]);
});

test("a message that skips trades says so to listeners and loops", async () => {
  const { market, trades } = withTrades(5, print(1));
  const events = changesOf(trades);
  await taken(trades);
  market.delta(6, -8, { 18: [12, 11, 10, 9, 8].flatMap((number) => print(number)) });
  assert.deepEqual(told(events[0].trades)[0], [8, 6, false]);
  assert.deepEqual(told(await taken(trades))[0], [8, 6, false]);
});

test("a trade that the venue corrects comes again, and one that nobody has had yet comes once", async () => {
  const { market, trades } = withTrades(5, print(1), print(2));
  await some(trades, 2);
  market.delta(6, -8, { 18: [...print(2, 99), ...print(3)] });
  market.delta(7, -8, { 18: print(3, 100, { size: 0 }) });
  const later = await taken(trades);
  assert.deepEqual(told(later), [[2, 0, true], [3, 0, false]]);
  assert.deepEqual([later[0].price, later[1].size], ["0.99", "0"]);
});

test("after an outage in the same life of the service no trade comes twice", async () => {
  const { market, trades } = withTrades(5, print(1), print(2));
  await taken(trades);
  market.session.discard();
  market.begin({ cut: 9 });
  market.define(-8, trades.name, 3); // at a higher scale
  market.records(-8, { 18: [...print(1, 1000), ...print(2, 1000), ...print(5, 1000)] });
  market.take(2, 2, { outcomes: [[trades.name, 0, ""]] });
  assert.deepEqual(told(await taken(trades)), [[5, 2, false]]);
});

test("in another life of the service the numbers begin anew", async () => {
  const { market, trades } = withTrades(5, print(1), print(2));
  await taken(trades);
  market.begin({ epoch: "f" });
  market.define(-3, trades.name);
  market.records(-3, { 18: [...print(1, 500), ...print(2, 500)] });
  market.take(2, 2, { outcomes: [[trades.name, 0, ""]] });
  const later = await taken(trades);
  assert.deepEqual(told(later), [[1, 0, false], [2, 0, false]]);
  assert.deepEqual(later.map(({ restarted }) => restarted), [true, false]);
});

test("a token for other symbols gives the same service another epoch, and no trade comes twice", async () => {
  const { market, trades } = withTrades(5, print(1), print(2));
  await some(trades, 2);
  market.begin({ epoch: "e/2" });
  market.define(-8, trades.name);
  market.records(-8, { 18: [...print(1), ...print(2), ...print(3)] });
  market.take(2, 2, { outcomes: [[trades.name, 0, ""]] });
  const [next] = await some(trades, 1);
  assert.deepEqual([next.number, next.missed, next.restarted], [3, 0, false]);
});

// Candles

const MINUTE = 60;
const bar = (start, close = 100, volume = 5, count = 1) => [start * MINUTE, 100, 120, 80, close, volume, count];

function withCandles(count, fill, time, ...bars) {
  const market = open({ time });
  const candles = market.candles("EURUSD", "1m", count, fill);
  market.define(-9, candles.name);
  market.take(5, 5, 5, time, [], [-9, { 19: bars.flat() }]);
  market.answer();
  const at = (minute, ...changed) => {
    const { cursor } = market.session.replica;
    return market.take(6, cursor, cursor + 1, minute * MINUTE * SECOND, changed.length > 0 ? [-9, { 19: changed.flat() }] : []);
  };
  return { market, candles, at };
}

const starts = (bars) => bars.map(({ start }) => start / MINUTE);

test("candles are the latest bars, the last of which is still open", async () => {
  const { candles, at } = withCandles(2, false, 12.5 * MINUTE * SECOND, bar(10), bar(11), bar(12));
  assert.deepEqual(starts(candles.bars), [11, 12]);
  assert.deepEqual({ ...candles.bars[1] }, {
    start: 720, open: "1.00", high: "1.20", low: "0.80", close: "1.00", volume: "5", trades: 1, correction: false,
  });
  const events = changesOf(candles);
  const first = candles.bars;
  at(12.7, bar(12, 101));
  assert.deepEqual([starts(events[0].bars), events[0].bars[0].close], [[12], "1.01"]);
  assert.deepEqual([candles.bars === first, candles.bars[0] === first[0]], [false, true]);
});

test("a loop over candles has each closed bar once, as the service's clock closes it", async () => {
  const { market, candles, at } = withCandles(10, false, 12.5 * MINUTE * SECOND, bar(10), bar(11), bar(12));
  assert.deepEqual(starts(await taken(candles)), [10, 11]);
  at(12.9, bar(12, 101));
  assert.deepEqual(await taken(candles), []);
  market.take(7, 7, 13 * MINUTE * SECOND); // a heartbeat
  const [closed, ...more] = await taken(candles);
  assert.deepEqual([closed.start / MINUTE, closed.close, more], [12, "1.01", []]);
  at(15.1, bar(14), bar(15));
  assert.deepEqual(starts(await taken(candles)), [14]);
});

test("a late trade in a closed bar brings the bar again, as a correction", async () => {
  const { candles, at } = withCandles(10, false, 12.5 * MINUTE * SECOND, bar(10), bar(11), bar(12));
  await taken(candles);
  at(12.6, bar(11, 99));
  const [again, ...more] = await taken(candles);
  assert.deepEqual([again.start / MINUTE, again.close, again.correction, more], [11, "0.99", true, []]);
});

test("periods without a trade are filled on request, up to the present one", async () => {
  const { candles, at } = withCandles(10, true, 13.5 * MINUTE * SECOND, bar(10, 105), bar(12, 95));
  assert.deepEqual(candles.bars.map(({ start, close, volume, trades }) => [start / MINUTE, close, volume, trades]), [
    [10, "1.05", "5", 1], [11, "1.05", "0", 0], [12, "0.95", "5", 1], [13, "0.95", "0", 0],
  ]);
  assert.deepEqual(starts(await taken(candles)), [10, 11, 12]);
  const before = candles.bars;
  at(15.2);
  assert.deepEqual(starts(candles.bars), [10, 11, 12, 13, 14, 15]);
  assert.ok(before.every((each, index) => each === candles.bars[index]));
  assert.deepEqual(starts(await taken(candles)), [13, 14]);
  at(15.3, bar(15, 97));
  assert.equal(candles.bars.at(-1).close, "0.97");
});

test("bars that are made of quotes have no volume, and neither have those between them", () => {
  const { candles } = withCandles(10, true, 12.5 * MINUTE * SECOND, bar(10, 105, null, null), bar(12, 95, null, null));
  assert.deepEqual(candles.bars.map(({ volume, trades }) => [volume, trades]), [[null, null], [null, null], [null, null]]);
});

test("a day that is an hour longer is not filled, and is over when the next begins", async () => {
  const market = open({ time: 0 });
  const candles = market.candles("EURUSD", "1d", 10, true);
  const hour = 3600;
  const days = [22 * hour, 47 * hour, 71 * hour]; // the first has 25 hours
  market.define(-9, candles.name);
  market.take(5, 5, 5, 72 * hour * SECOND, [], [-9, { 19: days.flatMap((start) => [start, 1, 1, 1, 1, 1, 1]) }]);
  market.answer();
  assert.deepEqual(candles.bars.map(({ start }) => start), days);
  assert.deepEqual((await taken(candles)).map(({ start }) => start), days.slice(0, 2));
});

test("empty days are filled across one of 23 or 25 hours, at most an hour off", () => {
  const [hour, day] = [3600, 86_400];
  for (const change of [hour, -hour]) {
    for (const where of [1, 2, 3]) {
      const days = [0, 1, 2, 3, 4].map((number) => 20_000 * day + 4 * hour + number * day + (number >= where ? change : 0));
      for (const held of [[days[0], days[4]], days]) {
        const market = open({ time: 0 });
        const candles = market.candles("EURUSD", "1d", 10, true);
        market.define(-9, candles.name);
        market.take(5, 5, 5, days[4] * SECOND, [], [-9, { 19: held.flatMap((start) => [start, 1, 1, 1, 1, 1, 1]) }]);
        market.answer();
        const found = candles.bars.map(({ start }) => start);
        assert.equal(found.length, 5);
        assert.ok(found.every((start, index) => Math.abs(start - days[index]) <= (held === days ? 0 : hour)), `${found}`);
      }
    }
  }
});

// Charts

class Chart {
  calls = [];

  setData(data) {
    this.calls.push(["setData", data]);
  }

  update(point) {
    this.calls.push(["update", point]);
  }
}

test("candles bind to a chart: setData once, then update for each bar that changes", () => {
  const { candles, at } = withCandles(10, false, 12.5 * MINUTE * SECOND, bar(11), bar(12));
  const [chart, volumes] = [new Chart(), new Chart()];
  const unbind = candles.bindTo(chart);
  candles.bindTo(volumes, ({ start, volume }) => ({ time: start, value: Number(volume) }));
  at(13.1, bar(12, 101), bar(13, 102));
  at(13.2, bar(12, 99)); // a late trade: charts take no update before their last bar
  unbind();
  at(13.3, bar(13, 103));
  const point = (start, close = 1) => ({ time: start * MINUTE, open: 1, high: 1.2, low: 0.8, close });
  assert.deepEqual(chart.calls, [
    ["setData", [point(11), point(12)]],
    ["update", point(12, 1.01)],
    ["update", point(13, 1.02)],
    ["setData", [point(11), point(12, 0.99), point(13, 1.02)]],
  ]);
  assert.deepEqual(volumes.calls[0], ["setData", [{ time: 660, value: 5 }, { time: 720, value: 5 }]]);
  assert.equal(volumes.calls.length, 5);
});

test("a chart does not keep bars that are gone", () => {
  const { market, candles } = withCandles(10, false, 12.5 * MINUTE * SECOND, bar(10), bar(11), bar(12));
  const chart = new Chart();
  candles.bindTo(chart);
  market.records(-9, { 19: bar(12, 101) });
  market.records(-9, { 19: [...bar(12, 101), ...bar(13)] });
  const starts = chart.calls.map(([call, data]) => [call, [data].flat().map(({ time }) => time / MINUTE)]);
  assert.deepEqual(starts, [["setData", [10, 11, 12]], ["setData", [12]], ["update", [13]]]);
});

test("a chart that is bound before there are bars gets them all at once", () => {
  const market = open({ time: 12.5 * MINUTE * SECOND });
  const candles = market.candles("EURUSD", "1m", 300);
  const chart = new Chart();
  candles.bindTo(chart);
  market.define(-9, candles.name);
  market.records(-9, { 19: [...bar(11), ...bar(12)] });
  market.answer();
  assert.deepEqual(chart.calls.map(([call, data]) => [call, data.length]), [["setData", 2]]);
});
