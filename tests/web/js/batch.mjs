// For tests/web/test_javascript.py: a line of JSON in, a line of JSON out, one after the other in one process.

import { createInterface } from "node:readline";
import { ClientSession, TickerError, decode, matcher } from "../../../ticker/web/ticker.js";

/** The copy by name: values of instruments as users get them, fields of tables as on the wire. */
const copyOf = (replica) => Object.fromEntries([...replica.states.values()].map((state) => [
  state.definition.symbol, state.rows ? Object.fromEntries(state.wire()) : state.present(),
]));

/** The result of each frame (msgpack in hex, or JSON) on one connection whose client subscribed `*`. */
function conversation(frames) {
  const session = new ClientSession();
  session.want(["*"]);
  return frames.map((frame, index) => {
    let changes = null;
    let tables = [];
    let refused = false;
    try {
      const message = decode("json" in frame ? frame.json : Uint8Array.from(Buffer.from(frame.msgpack, "hex")));
      if (index > 0) {
        const received = session.receive(message);
        changes = received.changes ?? null;
        tables = received.tables.sort();
      }
      else {
        session.begin(message);
        session.requests();
      }
    } catch (error) {
      if (!(error instanceof TickerError)) throw error;
      refused = true;
    }
    const { replica } = session;
    return { refused, changes, tables, cursor: replica.cursor, copy: copyOf(replica), digest: replica.digest() };
  });
}

const tasks = {
  conversation,
  matches: (pairs) => pairs.map(([pattern, symbol]) => matcher(pattern)(symbol)),
  matchesAny: ([names, symbols]) => symbols.map(matcher(...names)),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { task, given } = JSON.parse(line);
  console.log(JSON.stringify(tasks[task](given)));
}
