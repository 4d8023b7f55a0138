// For tests/test_javascript_*.py: a client that does what lines of JSON on stdin tell it to, and prints what happens.

import { createInterface } from "node:readline";
import { connect } from "../../../ticker/web/ticker.js";

const [url, options] = [process.argv[2], JSON.parse(process.argv[3])];
const print = (told) => console.log(JSON.stringify(told));

// A page, for the tests of hidden ones.
const page = Object.assign(new EventTarget(), { hidden: false });
if (options.page) globalThis.document = page;

// Tokens that the test gives; the last one stays.
const { tokens } = options;
const token = tokens && (async () => (tokens.length > 1 ? tokens.shift() : tokens[0]));

// A network in which WebSockets do not work.
class Blocked extends WebSocket {
  constructor(address, protocols) {
    super(address.replace("/v1/stream", "/nowhere"), protocols);
  }
}

const client = connect(url, {
  ...options,
  token: token ?? options.token,
  ...(options.blocked && { WebSocket: Blocked }),
  ...(options.without && { WebSocket: null }),
});
client.addEventListener("state", ({ state, reason, retryMs, resumed }) => {
  print({ state, reason, retryMs, resumed, transport: client.transport });
});
client.addEventListener("refused", ({ name, code, text }) => print({ refused: name, code, text }));

const subscriptions = new Map();

async function iterate(name, subscription) {
  try {
    for await (const change of subscription) print({ subscription: name, ...change });
    print({ ended: name });
  } catch (error) {
    print({ ended: name, because: error.message, code: error.code, kind: error.name });
  }
}

const deeds = {
  subscribe({ as, names, idle }) {
    const subscription = client.subscribe(...names);
    subscriptions.set(as, subscription);
    subscription.addEventListener("change", ({ change }) => print({ event: as, changes: change.changes }));
    if (!idle) iterate(as, subscription);
  },
  iterate: ({ as }) => void iterate(as, subscriptions.get(as)),
  unsubscribe: ({ as }) => subscriptions.get(as).close(),
  values: ({ symbol }) => client.values(symbol),
  number: ({ symbol, field }) => String(client.number(symbol, field)),
  instrument: ({ symbol }) => client.instrument(symbol) ?? null,
  search: ({ match, after }) => client.search(match, { after }),
  stats: () => client.stats(),
  ping: () => client.ping(),
  figures() {
    const { cut, time, updates, bytes, state, transport } = client;
    return { cut, time, updates, bytes, state, transport };
  },
  show({ hidden }) {
    page.hidden = hidden;
    page.dispatchEvent(new Event("visibilitychange"));
  },
  close: () => client.close(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: deed, ...given } = JSON.parse(line);
  // Not awaited: a deed that takes long must not keep the next one from being done.
  Promise.resolve()
    .then(() => deeds[deed](given))
    .then((value) => print({ answers: id, value }))
    .catch((error) => print({ answers: id, failed: error.message, code: error.code }));
}
