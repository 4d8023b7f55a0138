// Socket.IO with rooms, in one process. Arguments: PORT CERT KEY BUDGET_MS.
import { serveRooms } from "./socketio_rooms.mjs";
import { updates } from "./updates.mjs";

const [port, cert, key, budget] = process.argv.slice(2);
const { server, io } = serveRooms(cert, key);
const send = ({ number, message }) => io.to(String(number)).emit("u", message);
updates(Number(budget), send, (batch) => batch.forEach(send));
server.listen(Number(port), "127.0.0.1", 4096, () => console.log("ready"));
