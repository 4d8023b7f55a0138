// Subscriptions to some fields: what is asked for, what stays through connections, and what a reader sees.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ClientSession, TickerError } from "../../../ticker/web/ticker.js";
import { subscribed } from "../../../ticker/web/client/arguments.js";
import { Subscription } from "../../../ticker/web/client/subscription.js";
import { FEATURES, Market, plain, welcome } from "./market.mjs";

const OFFER = { ...FEATURES, fields: 8 };
const begin = (session, more = {}) => session.begin(welcome({ features: OFFER, ...more }));
const reply = (session, id, ...names) =>
  session.receive({ kind: "reply", id, result: new Map([["outcomes", names.map((name) => [name, 0, ""])]]) });
const sent = (session) => session.requests().map(({ id, epoch, cursor, ...request }) => request);

/** A session with the bids of A and all of B. */
function holding() {
  const session = new ClientSession();
  session.want(["A"], "bid");
  session.want(["B"]);
  begin(session);
  for (const { id, symbols } of session.requests()) reply(session, id, ...symbols);
  return session;
}

test("names are asked for with their fields, tables without", () => {
  const session = new ClientSession(50);
  session.want(["A", "B", "A book:10"], "ask,bid");
  session.want(["C"]);
  begin(session);
  assert.deepEqual(sent(session), [
    { op: "subscribe", symbols: ["A", "B"], fields: ["ask", "bid"], interval_ms: 50 },
    { op: "subscribe", symbols: ["A book:10", "C"], interval_ms: 50 },
  ]);
});

test("a name wanted with several sets of fields has the union of them, and all if any wants all", () => {
  const session = holding();
  session.want(["A"], "ask");
  assert.deepEqual(sent(session), [{ op: "subscribe", symbols: ["A"], fields: ["ask", "bid"] }]);
  session.want(["A"], "bid");
  assert.deepEqual(sent(session), []);
  session.want(["A"]);
  assert.deepEqual(sent(session), [{ op: "subscribe", symbols: ["A"] }]);
  session.giveUp(["A"]);
  session.giveUp(["A"], "ask");
  assert.deepEqual(sent(session), [{ op: "subscribe", symbols: ["A"], fields: ["bid"] }]);
  session.giveUp(["A"], "bid");
  session.giveUp(["A"], "bid");
  assert.deepEqual(sent(session), [{ op: "unsubscribe", symbols: ["A"] }]);
});

test("the copy has added fields when the reply has come", () => {
  const session = holding();
  assert.deepEqual([session.hasAllOf(["A"], "bid"), session.hasAllOf(["A"], "ask,bid"), session.hasAllOf(["A"])], [true, false, false]);
  session.want(["A"], "ask");
  assert.equal(session.hasAllOf(["A"], "ask"), false);
  const [{ id }] = session.requests();
  assert.equal(session.hasAllOf(["A"], "ask"), false);
  reply(session, id, "A");
  assert.deepEqual([session.hasAllOf(["A"], "ask"), session.hasAllOf(["A"])], [true, false]);
});

test("a resume says the fields; names whose other fields have no reply are forgotten and asked for again", () => {
  const session = holding();
  begin(session, { cut: 9 });
  const [{ id }] = session.requests();
  reply(session, id, "B", "A");
  begin(session, { cut: 9 });
  assert.deepEqual(sent(session), [{ op: "resume", symbols: ["B"], selected: [[["bid"], ["A"]]] }]);
  session.want(["A"]);
  session.requests();
  begin(session, { cut: 10 });
  assert.deepEqual(sent(session), [
    { op: "resume", symbols: ["B"], forget: ["A"] },
    { op: "subscribe", symbols: ["A"] },
  ]);
});

test("a name whose other fields were refused is in the copy with the former ones", () => {
  const session = holding();
  session.want(["A"]);
  const [{ id }] = session.requests();
  session.receive({ kind: "error", id, code: 5, text: "no", fatal: false });
  begin(session, { cut: 9 });
  assert.deepEqual(session.requests()[0].forget, ["A"]);
});

test("a server that knows no fields is asked for all, and no copy of some fields is resumed there", () => {
  const session = holding();
  begin(session, { features: FEATURES });
  assert.deepEqual(sent(session), [{ op: "subscribe", symbols: ["A", "B"] }]);
});

test("further sets of fields than serve are all fields", () => {
  const session = new ClientSession();
  for (const name of ["A", "B", "C"]) session.want([name], name.toLowerCase());
  begin(session, { features: { ...OFFER, fields: 4 } });
  assert.deepEqual(sent(session), [
    { op: "subscribe", symbols: ["A"], fields: ["a"] },
    { op: "subscribe", symbols: ["B"], fields: ["b"] },
    { op: "subscribe", symbols: ["C"] },
  ]);
});

test("an event stream asks for what all names want together, and goes on only with the same", () => {
  const session = new ClientSession();
  session.want(["A", "A book:10"], "bid");
  session.want(["B"], "ask,bid");
  const request = session.streamRequest();
  assert.deepEqual([request.names, request.fields], [["A", "A book:10", "B"], "ask,bid"]);
  session.beginStream(welcome({ features: OFFER }), request);
  reply(session, 1, ...request.names);
  assert.deepEqual([session.current, session.hasAllOf(["A"], "ask"), session.hasAllOf(["A"])], [true, true, false]);
  assert.equal(session.streamRequest().lastEventId, "e:5");
  session.want(["B"], "last");
  assert.equal(session.current, false);
  assert.deepEqual([session.streamRequest().fields, session.streamRequest().lastEventId], ["ask,bid,last", undefined]);
  session.want(["C"]);
  assert.equal(session.streamRequest().fields, undefined);
});

test("each subscription has its own fields, and the status", () => {
  const market = new Market();
  market.begin({ features: OFFER });
  const bids = new Subscription(["A"], market.session.replica, true, () => {}, "bid");
  const everything = market.subscribe("A");
  market.readers.add(bids);
  market.define(0, "A");
  market.records(0, { 1: 100, 3: 200, 14: "live" });
  market.answer();
  const seen = [];
  bids.addEventListener("change", ({ change }) => seen.push(plain(change.changes)));
  assert.deepEqual(plain(bids.present), { A: { bid: "1.00", status: "live" } });
  market.delta(6, 0, { 3: 201 });
  market.delta(7, 0, { 1: 101, 3: 202 });
  assert.deepEqual(seen, [{ A: { bid: "1.01" } }]);
  assert.deepEqual(plain(everything.present), { A: { bid: "1.01", ask: "2.02", status: "live" } });
});

test("options stand behind the names, and what cannot be is refused", () => {
  assert.deepEqual(subscribed(["A", "B", { fields: ["bid", "ask", "bid"] }]), { names: ["A", "B"], fields: "ask,bid" });
  assert.deepEqual(subscribed(["A", {}]), { names: ["A"], fields: undefined });
  for (const fields of ["bid", [], ["Bid"], [7], 7, null, Array.from({ length: 65 }, (_, number) => `f${number}`)]) {
    assert.throws(() => subscribed(["A", { fields }]), (error) => error instanceof TickerError && /fields/.test(error.message));
  }
  assert.throws(() => subscribed(["A", { field: ["bid"] }]), /no option/);
  assert.throws(() => subscribed([["A"], { fields: ["bid"] }]), /argument of its own/);
  assert.deepEqual(subscribed([{ fields: undefined }]), { names: [], fields: undefined });
  assert.throws(() => subscribed([{ fields: ["bid"] }, "A"]), TickerError);
});
