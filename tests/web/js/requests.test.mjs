// ticker/web/dashboard: how often a page asks its service, which refuses what is too much.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, beforeEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

// The two things of a page that its modules need; timers do not keep this process, as they do not keep a page.
const [sent, later] = [fetch, setTimeout];
globalThis.document = Object.assign(new EventTarget(), { hidden: false });
globalThis.fetch = (path, options) => sent(new URL(path, `http://127.0.0.1:${server.address().port}`), options);
globalThis.setTimeout = (...given) => later(...given).unref();

const { get } = await import("../../../ticker/web/dashboard/http.js");
const { Sparks } = await import("../../../ticker/web/dashboard/sparks.js");

let refusals = []; // the Retry-After of each request that is refused before others are answered
let asked = [];
const server = createServer((request, response) => {
  asked.push(request.url);
  const retryAfter = refusals.shift();
  if (retryAfter !== undefined) response.writeHead(429, { "Retry-After": retryAfter });
  response.end(JSON.stringify(retryAfter === undefined ? { instruments: {} } : { message: "too many requests" }));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
after(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  [refusals, asked] = [[], []];
});

test("a request that is refused for now is sent again when the service says so", async () => {
  refusals = ["1", "1"];
  assert.deepEqual(await get("v1/snapshot", { symbols: "A" }), { instruments: {} });
  assert.equal(asked.length, 3);
});

test("a request that is refused for long, or again and again, fails with the reason", async () => {
  refusals = ["3600", "1", "1", "1", "1"];
  await assert.rejects(get("v1/snapshot", {}), { message: "too many requests", retryMs: 3_600_000 });
  assert.equal(asked.length, 1);
  await assert.rejects(get("v1/snapshot", {}), { message: "too many requests", retryMs: 1000 });
  assert.equal(asked.length, 5);
});

const sparks = () => new Sparks(() => ({ features: { candles: { periods: ["1m"], rows: [10, 50] } } }), () => {});
const screenful = (first) => Array.from({ length: 40 }, (_, row) => `S${first + row}`);

/** Show other rows again and again, as somebody does who sorts and scrolls. */
async function scroll(charts) {
  for (let screen = 1; screen <= 4; screen += 1) {
    charts.show(screenful(100 * screen));
    await pause(200);
  }
}

test("small charts are asked for at a rate that leaves room for other requests", async () => {
  const charts = sparks();
  await scroll(charts);
  assert.equal(asked.length, 1);
  charts.show([]);
});

test("small charts are not asked for while the service refuses them, whatever is shown", async () => {
  refusals = ["3600"];
  await scroll(sparks());
  await pause(1000);
  assert.equal(asked.length, 1);
});
