// A Redis that keeps nothing, a publisher, and worker processes with the clients: what peers on Redis have in common.
import cluster from "node:cluster";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const require = createRequire(`${process.cwd()}/`);
const { createClient } = require("redis");

// Connects to the Redis of this cluster.
export async function connected() {
  const client = createClient({ socket: { path: process.env.REDIS_SOCKET } });
  client.on("error", (error) => {
    console.error(error.message);
    process.exit(1);
  });
  await client.connect();
  return client;
}

// In the first process starts the Redis and so many workers, and calls `publisher` once all of them listen; in each worker
// calls `worker`, which has to listen.
export async function run(workers, publisher, worker) {
  if (cluster.isWorker) return worker();
  const folder = mkdtempSync(join(tmpdir(), "redis-"));
  process.env.REDIS_SOCKET = join(folder, "socket");
  const options = ["--port", "0", "--unixsocket", process.env.REDIS_SOCKET, "--dir", folder, "--save", ""];
  // A subscriber that falls behind keeps its messages, instead of being disconnected.
  const engine = spawn("redis-server", [...options, "--client-output-buffer-limit", "pubsub 0 0 0"], { stdio: "ignore" });
  process.on("exit", () => {
    engine.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(0));
  for (let tries = 0; tries < 200 && !existsSync(process.env.REDIS_SOCKET); tries++) await sleep(50);
  let listening = 0;
  cluster.on("listening", async () => {
    if (++listening < workers) return;
    await publisher();
    console.log("ready");
  });
  cluster.on("exit", () => process.exit(1));
  for (let number = 0; number < workers; number++) cluster.fork();
}
