// Socket.IO in two processes with its Redis adapter, WebSocket transport. Arguments: PORT CERT KEY BUDGET_MS. A publisher of
// its own emits each update to a room with the Redis emitter, as its documentation shows for other processes.
import { createRequire } from "node:module";
import { connected, run } from "./redis_cluster.mjs";
import { serveRooms } from "./socketio_rooms.mjs";
import { updates } from "./updates.mjs";

const require = createRequire(`${process.cwd()}/`);
const [port, cert, key, budget] = process.argv.slice(2);

async function publisher() {
  const { Emitter } = require("@socket.io/redis-emitter");
  const emitter = new Emitter(await connected());
  const send = ({ number, message }) => emitter.to(String(number)).emit("u", message);
  updates(Number(budget), send, (batch) => batch.forEach(send));
}

async function worker() {
  const { createAdapter } = require("@socket.io/redis-adapter");
  const { server } = serveRooms(cert, key, { adapter: createAdapter(await connected(), await connected()) });
  server.listen(Number(port), "127.0.0.1", 4096);
}

run(2, publisher, worker);
