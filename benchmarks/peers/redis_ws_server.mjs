// Redis pub/sub behind a thin WebSocket server (Node `ws`). Arguments: PORT CERT KEY BUDGET_MS. A publisher of its own
// publishes each update to the channel `u:NUMBER`; the server subscribes to what its clients want. Nothing is kept: a new
// client gets no last price.
import { collector, updates } from "./updates.mjs";
import { connected, run } from "./redis_cluster.mjs";
import { fanout } from "./ws_fanout.mjs";

const [port, cert, key, budget] = process.argv.slice(2);

async function publisher() {
  const client = await connected();
  const publish = ({ number, message }) => client.publish(`u:${number}`, message);
  updates(0, publish);
}

async function worker() {
  const client = await connected();
  const channels = new Map();
  const { server, send, sendBatch } = fanout(cert, key, (numbers) => Promise.all(numbers.map(subscribed)));
  const take = collector(Number(budget), send, sendBatch);

  function subscribed(number) {
    if (!channels.has(number)) {
      channels.set(number, client.subscribe(`u:${number}`, (message) => take({ number, message }), true));
    }
    return channels.get(number);
  }

  server.listen(Number(port), "127.0.0.1", 4096);
}

run(1, publisher, worker);
