// For tests/web/test_javascript_alone.py: a program of a user without listeners. Its errors are on stderr.

import { Client, connect } from "../../../ticker/web/client/client.js";
import { TIMING, basesOf } from "../../../ticker/web/client/options.js";

const [url, what, ...names] = process.argv.slice(2);
const transport = names[0] === "events" || names[0] === "websocket" ? names.shift() : "auto";

if (what === "iterate") {
  const client = new Client(basesOf(url), { transport }, { ...TIMING, unmatchedMs: 500 });
  for await (const change of client.subscribe(...names)) console.log(JSON.stringify(change.changes));
}
if (what === "close when refused") {
  const client = connect(url, { transport });
  client.addEventListener("refused", () => client.close());
  client.subscribe(...names);
  // The program ends by itself, unless a stream is left behind.
}
