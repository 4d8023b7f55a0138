// The client's state machine in cases that live tests do not reach, and the options that `connect` refuses.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Replica, ClientSession, TickerError, connect, decode, encode, matcher } from "../../../ticker/web/ticker.js";
import { boundedWait, refusal } from "../../../ticker/web/client/http.js";
import { excerpt, printable } from "../../../ticker/web/client/texts.js";

const welcome = (more = {}) => ({ kind: "welcome", epoch: "e", cut: 5, time: 5, limits: new Map(), ...more });
const definition = { id: 0, symbol: "A", priceScale: 2, sizeScale: 0, metadata: {} };
const defined = { kind: "instruments", definitions: [definition] };
const snapshot = { kind: "snapshot", since: 5, cut: 5, time: 5, changes: [], records: [0, new Map([[1, 100]])] };
const reply = (id, ...outcomes) => ({ kind: "reply", id, result: new Map([["outcomes", outcomes]]) });
const plain = (value) => JSON.parse(JSON.stringify(value));

/** A session that holds A, and whose other names have these outcomes. */
function holding(names, ...outcomes) {
  const session = new ClientSession();
  session.want(names);
  session.begin(welcome());
  session.requests();
  for (const message of [defined, snapshot, reply(1, ...outcomes)]) session.receive(message);
  return session;
}

test("names that do not fit into one request go into several", () => {
  const session = new ClientSession(250);
  const names = Array.from({ length: 300 }, (_, index) => `NAME${index}`);
  session.want(names);
  session.begin(welcome({ limits: new Map([["max_message_bytes", 1024]]) }));
  const requests = session.requests();
  assert.ok(requests.length > 3);
  assert.ok(requests.every((request) => encode(request).length <= 1024 && request.interval_ms === 250));
  assert.deepEqual(requests.flatMap((request) => request.symbols), names);
});

test("a copy with more names than fit into a resume is taken anew, and what does not come again is withdrawn", () => {
  const session = holding(["A"], ["A", 0, ""]);
  session.begin(welcome({ cut: 7, limits: new Map([["max_message_bytes", 20]]) }));
  assert.deepEqual(session.requests().map(({ op }) => op), ["subscribe"]);
  const { changes } = session.receive(reply(2, ["A", 6, "there is no such instrument"]));
  assert.deepEqual(plain(changes), { A: { bid: null } });
});

test("a name that the server declined is not resumed but asked for anew", () => {
  const session = holding(["A", "B*"], ["A", 0, ""], ["B*", 8, "too many"]);
  session.begin(welcome({ cut: 7 }));
  assert.deepEqual(session.requests(), [
    { op: "resume", id: 2, epoch: "e", cursor: 5, symbols: ["A"] },
    { op: "subscribe", id: 3, symbols: ["B*"] },
  ]);
  session.receive({ kind: "instruments", definitions: [{ ...definition, id: 1, symbol: "B1" }] });
  session.receive({ ...snapshot, cut: 7, records: [1, new Map([[1, 200]])] });
  assert.equal(session.replica.values().B1.bid, "2.00");
});

test("a name that a resume declines is withdrawn and forgotten", () => {
  const session = holding(["A"], ["A", 0, ""]);
  session.begin(welcome({ cut: 7 }));
  session.requests();
  const { changes } = session.receive({ kind: "removed", since: 5, cut: 5, ids: [0] });
  const { refused } = session.receive(reply(2, ["A", 8, "too many"]));
  assert.deepEqual(refused, [{ name: "A", code: 8, text: "too many" }]);
  assert.deepEqual(plain(changes), { A: { bid: null } });
  assert.deepEqual(plain(session.replica.values()), {});
  session.begin(welcome({ cut: 7 }));
  assert.deepEqual(session.requests().map(({ op }) => op), ["subscribe"]);
});

test("until a resume is answered, the server's own cut says nothing of the copy", () => {
  const session = holding(["A"], ["A", 0, ""]);
  session.begin(welcome({ cut: 7 }));
  session.requests();
  session.receive({ kind: "heartbeat", cut: 8, time: 8 });
  assert.equal(session.replica.cursor, 5);
  session.receive(reply(2, ["A", 0, ""]));
  session.receive({ kind: "heartbeat", cut: 9, time: 9 });
  assert.equal(session.replica.cursor, 9);
});

test("a resume that is refused is followed by a subscription", () => {
  const session = holding(["A"], ["A", 0, ""]);
  session.begin(welcome({ cut: 7 }));
  session.requests();
  session.receive({ kind: "error", id: 2, code: 10, text: "that epoch is over", fatal: false });
  assert.equal(session.replica.cursor, 7);
  assert.deepEqual(session.requests(), [{ op: "subscribe", id: 3, symbols: ["A"] }]);
  session.begin(welcome({ cut: 8 })); // the connection was lost before the answer
  assert.deepEqual(session.requests(), [{ op: "subscribe", id: 4, symbols: ["A"] }]);
});

test("an event stream goes on from the cursor, unless a name came that it was not asked for", () => {
  const session = holding(["A"], ["A", 0, ""]);
  assert.deepEqual(session.streamRequest(), { names: ["A"], lastEventId: "e:5", wanted: ["A"], refused: [] });
  session.want(["C"]);
  assert.deepEqual(session.streamRequest(), { names: ["A", "C"], lastEventId: undefined, wanted: ["A", "C"], refused: [] });
});

test("an event stream that goes on has a cut of its own once its reply has come", () => {
  const session = holding(["A"], ["A", 0, ""]);
  session.beginStream(welcome({ cut: 7 }), session.streamRequest());
  session.receive({ kind: "heartbeat", cut: 8, time: 8 });
  assert.equal(session.replica.cursor, 5);
  session.receive(reply(1, ["A", 0, ""]));
  session.receive({ kind: "heartbeat", cut: 9, time: 9 });
  assert.equal(session.replica.cursor, 9);
});

test("an event stream without some of its names begins anew: nobody would say what leaves the copy", () => {
  const session = holding(["A", "B"], ["A", 0, ""], ["B", 6, ""]);
  assert.equal(session.streamRequest().lastEventId, "e:5");
  session.giveUp(["B"]);
  const request = session.streamRequest();
  assert.deepEqual([request.names, request.lastEventId], [["A"], undefined]);
});

test("an event stream that was cut off before its reply begins anew", () => {
  const session = new ClientSession();
  session.want(["A"]);
  session.beginStream(welcome(), session.streamRequest());
  session.receive(defined);
  session.receive(snapshot);
  assert.equal(session.streamRequest().lastEventId, undefined);
  session.receive(reply(1, ["A", 0, ""]));
  assert.equal(session.streamRequest().lastEventId, "e:5");
});

test("two entries of one instrument are not taken", () => {
  const session = holding(["A"], ["A", 0, ""]);
  const changes = [0, new Map([[1, 1]]), 0, new Map([[3, 1]])];
  const twice = { kind: "delta", since: 5, cut: 5, time: 5, changes };
  assert.throws(() => session.receive(twice), TickerError);
  assert.equal(session.replica.values().A.bid, "1.00");
});

test("a message that defines an instrument twice has to be consistent, too", () => {
  const replica = new Replica();
  for (const second of [{ symbol: "B" }, { priceScale: 1 }, { id: 1 }]) {
    assert.throws(() => replica.define([definition, { ...definition, ...second }]), TickerError);
  }
  assert.equal(replica.definition("A"), undefined);
});

test("a number that does not fit for a moment stays exact", () => {
  const replica = new Replica();
  replica.welcome(welcome(), false);
  replica.define(defined.definitions);
  replica.apply({ ...snapshot, records: [0, new Map([[1, 9007199254740991]])] });
  replica.define([{ ...definition, priceScale: 6 }]);
  assert.equal(replica.values().A.bid, "90071992547409.91");
});

test("a float is no integer, and an integer of 2**53 is none wherever it stands", () => {
  const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
  assert.deepEqual(decode(bytes("93070501")), { kind: "heartbeat", cut: 5, time: 1 });
  const floats = ["9307cb401400000000000001", "9307ca40a0000001"];
  for (const hex of [...floats, "9263cf0020000000000000", "9263d3ffe0000000000000"]) {
    assert.throws(() => decode(bytes(hex)), TickerError, hex);
  }
  assert.equal(decode(bytes("9263cb4014000000000000")), null);
  assert.throws(() => decode('[7,5,9007199254740992]'), TickerError);
});

test("a class of characters has both its ends, and one that is upside down has nothing", () => {
  const fits = (pattern, symbols) => symbols.filter(matcher(pattern));
  assert.deepEqual(fits("[a-c]", ["a", "b", "c", "d", "-"]), ["a", "b", "c"]);
  assert.deepEqual(fits("[b-b]", ["a", "b", "-"]), ["b"]);
  assert.deepEqual(fits("[c-a]", ["a", "b", "c", "-"]), []);
  assert.deepEqual(fits("[!a-b]?", ["ax", "cx", "c"]), ["cx"]);
  assert.deepEqual(fits("*.[N]?*", ["A.NY", "A.LN", ".NYSE", "A.N"]), ["A.NY", ".NYSE"]);
});

test("requests are msgpack of every size", () => {
  const long = "x".repeat(70_000);
  const hex = (request) => Buffer.from(encode(request)).toString("hex");
  assert.equal(hex({ op: "a", id: 127 }), "82a26f70a161a269647f");
  assert.equal(hex({ id: 2 ** 53 - 1 }), "81a26964cf001fffffffffffff");
  assert.equal(hex({ s: ["é"] }), "81a173dd00000001a2c3a9");
  assert.ok(hex({ s: long }).startsWith("81a173db00011170"));
});

test("what is no address of a service, or no option, is refused at once", () => {
  for (const url of ["http://localhost", "ws://localhost", "localhost:8443", "", undefined]) {
    assert.throws(() => connect(url), TickerError, url);
  }
  for (const intervalMs of [-1, 0.5, "100", NaN]) {
    assert.throws(() => connect("https://localhost", { intervalMs }), /^TickerError: intervalMs: .*whole number/);
  }
  for (const [options, text] of [
    ["EURUSD", /^TickerError: options: a string; give an object/],
    [["EURUSD"], /^TickerError: options: an array; give an object/],
    [null, /^TickerError: options: null; give an object/],
    [{ token: 7 }, /^TickerError: token: a number; give a text, or a function/],
    [{ transport: "carrier pigeon" }, /^TickerError: transport: carrier pigeon; give "auto"/],
    [{ whenHidden: "sleep" }, /^TickerError: whenHidden: sleep; give "pause"/],
  ]) assert.throws(() => connect("https://localhost", options), text);
  assert.throws(() => connect("https://localhost", { WebSocket: null, fetch: null }), TickerError);
  assert.throws(() => connect("https://localhost", { transport: "websocket", WebSocket: null }), TickerError);
});

test("what is neither bytes of one message nor its JSON is refused", () => {
  for (const payload of [new Uint8Array(), new ArrayBuffer(0), "", "[", "{}", "[1.5]"]) {
    assert.throws(() => decode(payload), TickerError);
  }
  assert.equal(decode("[99]"), null);
});

test("what is no name is refused with the remedy", () => {
  const client = connect("https://localhost:1", { transport: "events" });
  client.close();
  for (const [names, text] of [
    [[["EURUSD", "XAU*"]], /name 1 is an array, .*; give each name as an argument of its own: subscribe\(\.\.\.names\)/],
    [["EURUSD", new Set(["XAU*"])], /name 2 is a object, .*; give each name as an argument of its own/],
    [[{ EURUSD: 1 }], /name 1 is a object, .*; give a text/],
    [[undefined], /name 1 is a undefined/],
    [[null], /name 1 is null/],
    [[7], /name 1 is a number/],
    [[""], /name 1 is an empty text/],
  ]) assert.throws(() => client.subscribe(...names), text);
});

const answer = (body, status, headers = {}) => new Response(body, { status, headers });

test("a refusal is final only as the service's own JSON", async () => {
  for (const status of [400, 401, 403, 404, 426, 431]) {
    const own = await refusal(answer(JSON.stringify({ code: status, message: "no" }), status));
    assert.deepEqual([own.comeBack, own.reason], [false, `the server answered with HTTP status ${status}: no`]);
    for (const body of ["", "<html>Log in</html>", "{", "[]", "7", "null", '{"error": 1}', '{"code": 418, "message": "no"}']) {
      const stray = await refusal(answer(body, status));
      assert.notEqual(stray.comeBack, false, body);
      assert.match(stray.reason, /something in between answered, with HTTP status/);
    }
  }
  assert.equal((await refusal(answer('{"code": 503, "message": "full"}', 503))).comeBack, true);
});

test("Retry-After is the shortest wait, spread at random, and at most a day", async () => {
  const waits = async (value) => {
    const { retryMs, spreadMs } = await refusal(answer("", 503, { "Retry-After": value }));
    return [retryMs, spreadMs];
  };
  assert.deepEqual(await waits("5"), [5000, 5000]);
  for (const value of ["999999999"]) assert.deepEqual(await waits(value), [86_400_000, 86_400_000]);
  for (const value of ["", "soon", "-1", "1e9", "Infinity", "99999999999999999999"]) assert.deepEqual(await waits(value), [0, 0]);
  assert.equal(boundedWait(2 ** 53), 86_400_000);
});

test("an answer without end is not read to its end", async () => {
  let sent = 0;
  const body = new ReadableStream({
    pull(controller) {
      sent += 65_536;
      controller.enqueue(new Uint8Array(65_536).fill(0x20));
    },
  });
  const end = await refusal(answer(body, 403));
  assert.match(end.reason, /something in between/);
  assert.ok(sent < 10 * 2 ** 20, String(sent));
});

test("texts of the other side are shown as text only", async () => {
  const hostile = "\u001b[2J\u009b31m\u202eDSU\u0007\n\u{e0041}";
  const shown = "\\u001b[2J\\u009b31m\\u202eDSU\\u0007\\u000a\\u{e0041}";
  assert.equal(printable(hostile), shown);
  assert.equal(printable("Zürich 日本 🙂 €"), "Zürich 日本 🙂 €");
  assert.equal(excerpt("x".repeat(10_000)).length, 300);
  const body = JSON.stringify({ code: 403, message: hostile });
  assert.equal((await refusal(answer(body, 403))).reason, `the server answered with HTTP status 403: ${shown}`);
  const session = new ClientSession();
  session.want(["A"]);
  session.begin(welcome());
  session.requests();
  assert.deepEqual(session.receive(reply(1, ["A", 7, hostile])).refused, [{ name: "A", code: 7, text: shown }]);
});

test("outcomes of names that were never asked for are neither told nor kept", () => {
  const session = holding(["A"], ["A", 0, ""]);
  const names = Array.from({ length: 1000 }, (_, index) => [`N${index}`, 7, "no"]);
  for (let id = 0; id < 10; id++) assert.deepEqual(session.receive(reply(id, ...names)).refused, []);
});

test("a subscription is complete when the server has answered for its own names", () => {
  const session = new ClientSession();
  session.want(["A"]);
  session.begin(welcome());
  session.requests();
  session.want(["B", "C"]);
  session.requests();
  assert.ok(!session.hasAllOf(["A"]));
  session.receive(reply(1, ["A", 0, ""]));
  assert.ok(session.hasAllOf(["A"]) && !session.hasAllOf(["A", "B"]));
  session.receive({ kind: "error", id: 2, code: 5, text: "no", fatal: false });
  assert.ok(session.hasAllOf(["A", "B", "C"]));
  assert.deepEqual(session.kept, ["A"]);
  session.begin(welcome({ epoch: "f" }));
  assert.ok(!session.hasAllOf(["A"]));
});

test("an epoch without end is refused", () => {
  assert.throws(() => new ClientSession().begin(welcome({ epoch: "x".repeat(1000) })), TickerError);
});

test("values are the same object until one changes", () => {
  const session = holding(["A"], ["A", 0, ""]);
  const { replica } = session;
  const first = replica.find("A").present();
  assert.equal(replica.find("A").present(), first);
  assert.equal(replica.values().A, first);
  assert.throws(() => (first.bid = "7"), TypeError);
  session.receive({ kind: "heartbeat", cut: 6, time: 6 });
  session.receive({ kind: "delta", since: 6, cut: 7, time: 7, changes: [] });
  session.receive({ kind: "delta", since: 7, cut: 8, time: 8, changes: [0, new Map([[99, 1]])] }); // a field of later
  assert.equal(replica.find("A").present(), first);
  session.receive({ kind: "delta", since: 8, cut: 9, time: 9, changes: [0, new Map([[1, 101]])] });
  const second = replica.find("A").present();
  assert.notEqual(second, first);
  assert.deepEqual([first.bid, second.bid], ["1.00", "1.01"]);
  session.receive({ kind: "instruments", definitions: [{ ...definition, priceScale: 3 }] });
  assert.equal(replica.find("A").present().bid, "1.010");
  session.receive({ kind: "delta", since: 9, cut: 10, time: 10, changes: [0, new Map([[1, null]])] });
  assert.deepEqual(plain(replica.find("A").present()), {});
});

test("a client without values gives the same empty object", () => {
  const client = connect("https://localhost:1", { transport: "events" });
  client.close();
  assert.equal(client.values("A"), client.values("B"));
  assert.deepEqual(plain(client.values("A")), {});
});

const refuses = (session, message) => {
  const before = [session.replica.definitions.size, JSON.stringify(session.replica.values())];
  assert.throws(() => session.receive(message), TickerError);
  assert.deepEqual([session.replica.definitions.size, JSON.stringify(session.replica.values())], before);
};

test("definitions without end are refused", () => {
  const session = holding(["A"], ["A", 0, ""]);
  const batch = (from) =>
    Array.from({ length: 50_000 }, (_, index) => ({ ...definition, id: from + index, symbol: `S${from + index}` }));
  for (let from = 1; from <= 450_001; from += 50_000) {
    if (from < 450_000) session.receive({ kind: "instruments", definitions: batch(from) });
    else refuses(session, { kind: "instruments", definitions: batch(from) });
  }
});

test("texts of definitions without end are refused", () => {
  const session = holding(["A"], ["A", 0, ""]);
  const metadata = Object.fromEntries(Array.from({ length: 32 }, (_, index) => [`k${index}`, "x".repeat(256)]));
  const batch = (from) =>
    Array.from({ length: 4000 }, (_, index) => ({ ...definition, id: from + index, symbol: `S${from + index}`, metadata }));
  for (let from = 1; from < 16_000; from += 4000) session.receive({ kind: "instruments", definitions: batch(from) });
  session.receive({ kind: "instruments", definitions: batch(1) }); // again: they count once
  refuses(session, { kind: "instruments", definitions: batch(16_001) });
});

test("metadata, fields and texts beyond the limits are refused", () => {
  const session = holding(["A"], ["A", 0, ""]);
  const many = (count, value) => Array.from({ length: count }, (_, index) => [`f${index}`, value]);
  const defined = (metadata) => JSON.stringify([4, [[7, "B", 0, 0, metadata]]]);
  assert.ok(decode(defined(Object.fromEntries(many(32, "x".repeat(256))))));
  assert.ok(decode(defined({ name: "🙂".repeat(256) })));
  for (const symbol of ["\u001b[2J", "\u202eDSU", "a b", "a,b", "A*", "[A", "", "x".repeat(129), "\ud800"]) {
    assert.throws(() => decode(JSON.stringify([4, [[7, symbol, 0, 0, {}]]])), TickerError, symbol);
  }
  for (const symbol of ["BTC/USD", "日本", "🙂".repeat(128)]) assert.ok(decode(JSON.stringify([4, [[7, symbol, 0, 0, {}]]])));
  for (const metadata of [Object.fromEntries(many(33, "")), { name: "x".repeat(257) }, { ["x".repeat(257)]: "" }]) {
    assert.throws(() => decode(defined(metadata)), TickerError);
  }
  const delta = (fields) => ({ kind: "delta", since: 5, cut: 5, time: 5, changes: [0, new Map(fields)] });
  for (const fields of [many(66, 1), [["note", "x".repeat(257)]], [["x".repeat(33), 1]], [[14, "x".repeat(257)]]]) {
    refuses(session, delta(fields));
  }
  session.receive(delta(many(65, 1)));
  refuses(session, delta([["one_more", 1]]));
  session.receive(delta([["one_more", 1], ["f0", null]]));
  refuses(session, { ...snapshot, records: [0, new Map(many(67, 1))] });
});

const BEHIND = { kind: "error", code: 10, text: "behind", fatal: false };

test("a copy is kept for other servers until all of them were behind it", () => {
  const session = holding(["A"], ["A", 0, ""]);
  session.servers = 3;
  for (const kept of [true, true, false]) {
    session.begin(welcome({ cut: 4 }));
    const [{ op, id, cursor }] = session.requests();
    assert.deepEqual([op, cursor], ["resume", 5]);
    assert.equal(session.receive({ ...BEHIND, id }).behind, kept);
    assert.equal(session.replica.symbols.length > 0, kept);
  }
  assert.equal(session.replica.cursor, 4);
  assert.deepEqual(session.requests().map(({ op }) => op), ["subscribe"]);
});

test("a reply between two servers that are behind begins the count anew, and another error counts at once", () => {
  const session = holding(["A"], ["A", 0, ""]);
  session.servers = 2;
  for (let round = 0; round < 3; round++) {
    session.begin(welcome({ cut: 4 }));
    assert.equal(session.receive({ ...BEHIND, id: session.requests()[0].id }).behind, true);
    session.begin(welcome({ cut: 7 }));
    session.receive(reply(session.requests()[0].id, ["A", 0, ""]));
  }
  session.begin(welcome({ cut: 7 }));
  assert.ok(!session.receive({ ...BEHIND, id: session.requests()[0].id, code: 5 }).behind);
  assert.deepEqual(session.replica.symbols, []);
});

test("a silent source is news once, until it is heard again or a new connection begins", () => {
  const session = holding(["A"], ["A", 0, ""]);
  const news = [7, 7, null, null, 8].map((since) => session.receive({ kind: "source", since }).source);
  assert.deepEqual(news, [true, false, true, false, true]);
  assert.equal(session.sourceSilentSince, 8);
  session.begin(welcome({ cut: 7 }));
  assert.equal(session.sourceSilentSince, null);
});
