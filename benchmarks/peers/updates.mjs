// Input of every peer in JavaScript: lines of `NUMBER PRICE TIME` on stdin (see benchmarks/feed.py), each as
// { number, message } with the message's 16 bytes: number and price as uint32, time as float64, little-endian.

export function updates(budget, send, sendBatch) {
  let rest = "";
  let waiting = [];
  process.stdin.on("data", (data) => {
    const lines = (rest + data).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const [number, price, time] = line.split(" ").map(Number);
      const message = Buffer.alloc(16);
      message.writeUInt32LE(number, 0);
      message.writeUInt32LE(price, 4);
      message.writeDoubleLE(time, 8);
      if (!budget) send({ number, message });
      else waiting.push({ number, message });
    }
    if (budget && waiting.length && !updates.timer) {
      updates.timer = setTimeout(() => {
        updates.timer = undefined;
        const batch = waiting;
        waiting = [];
        sendBatch(batch);
      }, budget);
    }
  });
  process.stdin.on("end", () => process.exit(0));
}
