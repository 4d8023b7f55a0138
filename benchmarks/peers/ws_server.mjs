// Node `ws`, as its documentation shows a broadcast: `send` to each subscriber. Arguments: PORT CERT KEY BUDGET_MS.
// With a budget, the updates collected within it are sent with the socket corked, so that they leave in one write.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createRequire } from "node:module";
import { updates } from "./updates.mjs";

const { WebSocketServer } = createRequire(`${process.cwd()}/`)("ws");
const [port, cert, key, budget] = process.argv.slice(2);
const server = createServer({ cert: readFileSync(cert), key: readFileSync(key), ALPNProtocols: ["http/1.1"] });
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
const subscribers = new Map();

sockets.on("connection", (socket, request) => {
  request.socket.setNoDelay(true);
  socket.on("message", (message) => {
    for (const number of JSON.parse(message)) {
      if (!subscribers.has(number)) subscribers.set(number, new Set());
      subscribers.get(number).add(socket);
    }
    socket.on("close", () => subscribers.forEach((each) => each.delete(socket)));
    socket.send(Buffer.alloc(0));
  });
});

function send({ number, message }) {
  for (const socket of subscribers.get(number) ?? []) socket.send(message);
}

function sendBatch(batch) {
  const raw = new Set();
  for (const { number, message } of batch) {
    for (const socket of subscribers.get(number) ?? []) {
      if (!raw.has(socket._socket)) {
        socket._socket.cork();
        raw.add(socket._socket);
      }
      socket.send(message);
    }
  }
  for (const each of raw) each.uncork();
}

updates(Number(budget), send, sendBatch);
server.listen(Number(port), "127.0.0.1", 4096, () => console.log("ready"));
