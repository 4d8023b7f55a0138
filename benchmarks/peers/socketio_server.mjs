// Socket.IO with rooms, WebSocket transport. Arguments: PORT CERT KEY BUDGET_MS. Its clients speak Engine.IO 4 and
// Socket.IO 5; an emitted Buffer travels as a text packet and a binary attachment.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createRequire } from "node:module";
import { updates } from "./updates.mjs";

const { Server } = createRequire(`${process.cwd()}/`)("socket.io");
const [port, cert, key, budget] = process.argv.slice(2);
const server = createServer({ cert: readFileSync(cert), key: readFileSync(key), ALPNProtocols: ["http/1.1"] });
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });

io.on("connection", (socket) => {
  socket.on("subscribe", (numbers) => {
    for (const number of numbers) socket.join(String(number));
    socket.emit("ok");
  });
});

const send = ({ number, message }) => io.to(String(number)).emit("u", message);
updates(Number(budget), send, (batch) => batch.forEach(send));
server.listen(Number(port), "127.0.0.1", 4096, () => console.log("ready"));
