// Socket.IO with a room for each instrument, WebSocket transport. Its clients speak Engine.IO 4 and Socket.IO 5; an emitted
// Buffer travels as a text packet and a binary attachment.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createRequire } from "node:module";

const { Server } = createRequire(`${process.cwd()}/`)("socket.io");

export function serveRooms(cert, key, options = {}) {
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key), ALPNProtocols: ["http/1.1"] });
  const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false, serveClient: false, ...options });

  io.on("connection", (socket) => {
    socket.on("subscribe", (numbers) => {
      for (const number of numbers) socket.join(String(number));
      socket.emit("ok");
    });
  });
  return { server, io };
}
