// bun's own WebSocket server (uWebSockets inside), with its topics, as its documentation shows. Arguments: PORT CERT KEY
// BUDGET_MS. Publications within one iteration of its loop leave each socket in one write.
import { updates } from "./updates.mjs";

const [port, cert, key, budget] = process.argv.slice(2);
const server = Bun.serve({
  port: Number(port),
  hostname: "127.0.0.1",
  tls: { cert: Bun.file(cert), key: Bun.file(key) },
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("a WebSocket", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    message(socket, message) {
      for (const number of JSON.parse(message)) socket.subscribe(String(number));
      socket.send(new Uint8Array(0));
    },
  },
});

const send = ({ number, message }) => server.publish(String(number), message);
updates(Number(budget), send, (batch) => batch.forEach(send));
console.log("ready");
