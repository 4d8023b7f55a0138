// Clients of Node `ws` and what they subscribed, as its documentation shows a broadcast: `send` to each subscriber.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createRequire } from "node:module";

const { WebSocketServer } = createRequire(`${process.cwd()}/`)("ws");

// `wanted` is awaited with the numbers of a subscription before it is confirmed.
export function fanout(cert, key, wanted = async () => {}) {
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key), ALPNProtocols: ["http/1.1"] });
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  const subscribers = new Map();

  sockets.on("connection", (socket, request) => {
    request.socket.setNoDelay(true);
    socket.on("message", async (message) => {
      const numbers = JSON.parse(message);
      for (const number of numbers) {
        if (!subscribers.has(number)) subscribers.set(number, new Set());
        subscribers.get(number).add(socket);
      }
      socket.on("close", () => subscribers.forEach((each) => each.delete(socket)));
      await wanted(numbers);
      socket.send(Buffer.alloc(0));
    });
  });

  function send({ number, message }) {
    for (const socket of subscribers.get(number) ?? []) socket.send(message);
  }

  // The updates of a batch leave a socket in one write.
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

  return { server, send, sendBatch };
}
