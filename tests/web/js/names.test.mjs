// Which names a new connection resumes, and which the server has to forget; and when the copy is taken anew.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ClientSession, TickerError } from "../../../ticker/web/ticker.js";
import { FEATURES, Market, welcome } from "./market.mjs";

const reply = (session, id, ...outcomes) =>
  session.receive({ kind: "reply", id, result: new Map([["outcomes", outcomes.map((name) => [name, 0, ""])]]) });

/** A session that holds these names, with one request behind it. */
function holding(...names) {
  const session = new ClientSession();
  session.want(names);
  session.begin(welcome());
  session.requests();
  reply(session, 1, ...names);
  return session;
}

const sent = (session) =>
  session.requests().map(({ op, symbols, forget }) => (forget ? { op, symbols, forget } : { op, symbols }));

test("a resume forgets names without a reply, and subscribes those that are still wanted", () => {
  const session = holding("A");
  session.want(["B*", "C book:10"]);
  session.requests();
  session.giveUp(["B*"]);
  session.begin(welcome({ cut: 7 }));
  assert.deepEqual(sent(session), [
    { op: "resume", symbols: ["A"], forget: ["B*", "C book:10"] },
    { op: "subscribe", symbols: ["C book:10"] },
  ]);
});

test("a resume forgets names that were given up, whether the server was told or not", () => {
  const session = holding("A", "B", "C");
  session.giveUp(["B"]);
  session.requests();
  session.giveUp(["C"]);
  session.begin(welcome({ cut: 7 }));
  assert.deepEqual(sent(session), [{ op: "resume", symbols: ["A"], forget: ["C", "B"] }]);
});

test("a name whose unsubscribe was answered, or that the server has forgotten, is not forgotten again", () => {
  const session = holding("A", "B", "C");
  session.giveUp(["B"]);
  session.requests();
  reply(session, 2, "B");
  session.giveUp(["C"]);
  session.begin(welcome({ cut: 7 }));
  const [resume] = session.requests();
  assert.deepEqual(resume.forget, ["C"]);
  reply(session, resume.id, "A");
  session.begin(welcome({ cut: 8 }));
  assert.deepEqual(sent(session), [{ op: "resume", symbols: ["A"] }]);
});

test("until a resume is answered, its names to forget stay to be forgotten", () => {
  const session = holding("A", "B");
  session.giveUp(["B"]);
  for (const cut of [7, 8, 9]) {
    session.begin(welcome({ cut }));
    assert.deepEqual(sent(session), [{ op: "resume", symbols: ["A"], forget: ["B"] }]);
  }
});

test("a name that is given up and wanted again is asked for at once, and is not resumed before its answer", () => {
  const session = holding("A", "B");
  session.giveUp(["B"]);
  session.requests();
  session.want(["B"]);
  assert.deepEqual(sent(session), [{ op: "subscribe", symbols: ["B"] }]);
  reply(session, 2, "B"); // that of the unsubscribe
  session.begin(welcome({ cut: 7 }));
  assert.deepEqual(sent(session), [
    { op: "resume", symbols: ["A"], forget: ["B"] },
    { op: "subscribe", symbols: ["B"] },
  ]);
});

test("what can be no name is not among those to forget", () => {
  const session = holding("A");
  session.want(["two words", "B"]);
  session.requests();
  session.begin(welcome({ cut: 7 }));
  assert.deepEqual(sent(session)[0], { op: "resume", symbols: ["A"], forget: ["B"] });
});

test("with more names to resume and to forget than fit into a request the copy is taken anew", () => {
  const session = holding("A");
  session.want(Array.from({ length: 100 }, (_, index) => `NAME${index}`));
  session.requests();
  session.begin(welcome({ cut: 7, limits: { max_message_bytes: 600 } }));
  assert.ok(sent(session).every(({ op }) => op === "subscribe"));
});

test("an event stream resumes only if nothing has to leave the copy", () => {
  const session = holding("A", "B");
  assert.equal(session.streamRequest().lastEventId, "e:5");
  session.want(["C"]);
  session.requests();
  session.giveUp(["C"]);
  assert.equal(session.streamRequest().lastEventId, undefined);
});

// A message that this client refuses

test("after a refused message the copy is resumed once, and then taken anew", () => {
  const session = holding("A");
  session.refuseMessage();
  session.begin(welcome({ cut: 7 }));
  assert.deepEqual(sent(session).map(({ op }) => op), ["resume"]);
  session.refuseMessage();
  assert.equal(session.streamRequest().lastEventId, undefined);
  session.begin(welcome({ cut: 8 }));
  assert.deepEqual(sent(session).map(({ op }) => op), ["subscribe"]);
});

test("a reply between two refused messages has the copy resumed again", () => {
  const session = holding("A");
  for (const cut of [7, 8, 9]) {
    session.refuseMessage();
    session.begin(welcome({ cut }));
    const [{ op, id }] = session.requests();
    assert.equal(op, "resume");
    reply(session, id, "A");
  }
});

test("a copy that is discarded is not resumed", () => {
  const session = holding("A");
  session.discard();
  session.begin(welcome({ cut: 7 }));
  assert.deepEqual(sent(session).map(({ op }) => op), ["subscribe"]);
});

// A fresh token

test("the reply to a fresh token brings its epoch and its limits, and the copy goes on", () => {
  const session = holding("A");
  const { id } = session.request("auth", { token: "t" });
  const result = new Map([["expires", 1], ["epoch", "e/2"], ["limits", new Map([["max_symbols", 7]])]]);
  session.receive({ kind: "reply", id, result });
  assert.deepEqual([session.replica.epoch, session.limits.get("max_symbols"), session.replica.run], ["e/2", 7, 1]);
  session.begin(welcome({ epoch: "e/2", cut: 7 }));
  assert.deepEqual(session.requests().map(({ op, epoch }) => [op, epoch]), [["resume", "e/2"]]);
  for (const bad of [["epoch", 7], ["epoch", "x".repeat(257)], ["limits", 7], ["limits", new Map([["max_symbols", "7"]])]]) {
    const { id } = session.request("auth", { token: "t" });
    assert.throws(() => session.receive({ kind: "reply", id, result: new Map([bad]) }), TickerError);
  }
});

// What the service offers

test("what a service offers is read, and what it cannot be is refused", () => {
  const market = new Market();
  market.begin({ features: { ...FEATURES, book: [100, 10], delay: 900, fields: 8, later: {} } });
  assert.deepEqual(market.session.features, { ...FEATURES, book: [10, 100], delay: 900, fields: 8 });
  market.begin({ features: {}, epoch: "f" });
  assert.deepEqual(market.session.features, { book: [], trades: [], candles: { periods: [], rows: [] }, digest: false, delay: 0, fields: 0 });
  for (const features of [
    { book: 10 }, { book: ["10"] }, { candles: [] }, { candles: { periods: "1m" } }, { candles: { rows: [1.5] } },
    { digest: 1 }, { delay: -1 }, { delay: 1.5 }, { delay: "900" }, { fields: -1 }, { fields: [] }, { trades: Array.from({ length: 1001 }, () => 1) }, { candles: { periods: ["x".repeat(9)] } },
  ]) assert.throws(() => new ClientSession().begin(welcome({ features })), TickerError, JSON.stringify(features));
  assert.throws(() => welcome({ features: [] }), TickerError);
});
