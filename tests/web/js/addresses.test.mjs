// Which address is next, and when.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Addresses } from "../../../ticker/web/client/addresses.js";
import { basesOf } from "../../../ticker/web/client/options.js";
import { TickerError } from "../../../ticker/web/ticker.js";

const LOST = { reason: "lost" };
const some = (...bases) => new Addresses(bases, [250, 15_000]);

function left(addresses, end = LOST, now = 0) {
  const wait = addresses.leave(end, now);
  return [addresses.current, wait];
}

test("the next address is tried at once, and after all of them comes a wait", () => {
  const addresses = some("a", "b", "c");
  assert.equal(addresses.current, "a");
  assert.deepEqual([left(addresses), left(addresses)], [["b", 0], ["c", 0]]);
  const [, wait] = left(addresses);
  assert.ok(wait >= 125 && wait <= 250, String(wait));
});

test("a single address waits longer with each failure, until a reply came", () => {
  const addresses = some("a");
  for (const top of [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]) {
    const [base, wait] = left(addresses);
    assert.equal(base, "a");
    assert.ok(wait >= top / 2 && wait <= top, String(wait));
  }
  addresses.worked();
  assert.ok(left(addresses)[1] <= 250);
});

test("the wait that a server asks for is that of its address only", () => {
  const addresses = some("a", "b");
  assert.deepEqual(left(addresses, { ...LOST, retryMs: 60_000 }), ["b", 0]);
  for (const now of [1000, 2000, 3000]) {
    const [base, wait] = left(addresses, LOST, now);
    assert.ok(base === "b" && wait <= 2000, String(wait));
  }
  assert.deepEqual(left(addresses, LOST, 61_000), ["a", 0]);
});

test("an address without a chance is left out, and without a further one nothing is tried", () => {
  const addresses = some("a", "b");
  assert.deepEqual(left(addresses, { ...LOST, comeBack: false }), ["b", 0]);
  assert.equal(left(addresses)[0], "b");
  assert.deepEqual(left(addresses, { ...LOST, comeBack: false }), ["b", undefined]);
});

test("addresses are taken once each, and one that cannot be used is named", () => {
  assert.deepEqual(basesOf("wss://a:1/v1/stream"), ["https://a:1"]);
  assert.deepEqual(basesOf(["https://a:1", new URL("wss://b/x/"), "wss://a:1"]), ["https://a:1", "https://b/x"]);
  const named = (address) => (error) => error instanceof TickerError && error.message.includes(address);
  assert.throws(() => basesOf(["https://a", "http://b"]), named("http://b"));
  assert.throws(() => basesOf(["https://a", undefined]), named("undefined"));
  assert.throws(() => basesOf([]), named("an empty list"));
});
