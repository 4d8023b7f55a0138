// The golden frames of PROTOCOL.md, section 9, through the JavaScript client's decoder and state machine.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Session, TickerError, decode } from "../../ticker/web/ticker.js";

const { conversation, refused } = JSON.parse(readFileSync(new URL("../golden_frames.json", import.meta.url), "utf8"));
const payload = (frame, form) => (form === "json" ? frame.json : Uint8Array.from(Buffer.from(frame.msgpack, "hex")));

/** A copy as JSON has it: objects without a prototype would never equal those of the file. */
const copy = (session) => JSON.parse(JSON.stringify(session.replica.values()));

function begun(form) {
  const session = new Session();
  session.want(["*"]);
  session.begin(decode(payload(conversation[0], form)));
  assert.deepEqual(session.requests(), [{ op: "subscribe", id: 1, symbols: ["*"] }]);
  return session;
}

for (const form of ["msgpack", "json"]) {
  test(`each ${form} frame of the conversation leaves the copy and the cursor that it states`, () => {
    const session = begun(form);
    for (const frame of conversation.slice(1)) {
      session.receive(decode(payload(frame, form)));
      assert.deepEqual(copy(session), frame.copy, frame.name);
      assert.equal(session.replica.cursor, frame.cursor, frame.name);
    }
  });

  for (const frame of refused.filter((each) => form in each)) {
    test(`${frame.name}, as ${form}, is refused whole and leaves the copy as it was`, () => {
      const session = begun(form);
      for (const each of conversation.slice(1)) session.receive(decode(payload(each, form)));
      const [before, cursor] = [copy(session), session.replica.cursor];
      assert.throws(() => session.receive(decode(payload(frame, form))), TickerError);
      assert.deepEqual(copy(session), before);
      assert.equal(session.replica.cursor, cursor);
    });
  }
}

test("both encodings of a frame mean the same", () => {
  for (const frame of conversation) {
    assert.deepEqual(decode(payload(frame, "msgpack")), decode(payload(frame, "json")), frame.name);
  }
});
