// Node `ws`. Arguments: PORT CERT KEY BUDGET_MS. With a budget, the updates collected within it are sent with the socket
// corked, so that they leave in one write.
import { updates } from "./updates.mjs";
import { fanout } from "./ws_fanout.mjs";

const [port, cert, key, budget] = process.argv.slice(2);
const { server, send, sendBatch } = fanout(cert, key);
updates(Number(budget), send, sendBatch);
server.listen(Number(port), "127.0.0.1", 4096, () => console.log("ready"));
