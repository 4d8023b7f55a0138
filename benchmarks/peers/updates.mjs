// Input of every peer in JavaScript: lines of `NUMBER PRICE TIME` on stdin (see benchmarks/feed.py), each as
// { number, message } with the message's 16 bytes: number and price as uint32, time as float64, little-endian.

export function updates(budget, send, sendBatch) {
  const take = collector(budget, send, sendBatch);
  let rest = "";
  process.stdin.on("data", (data) => {
    const lines = (rest + data).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const [number, price, time] = line.split(" ").map(Number);
      const message = Buffer.alloc(16);
      message.writeUInt32LE(number, 0);
      message.writeUInt32LE(price, 4);
      message.writeDoubleLE(time, 8);
      take({ number, message });
    }
  });
  process.stdin.on("end", () => process.exit(0));
}

// Returns what takes updates: without a budget each is sent at once, else what was collected within so many ms.
export function collector(budget, send, sendBatch) {
  if (!budget) return send;
  let waiting = [];
  return (update) => {
    if (!waiting.length) {
      setTimeout(() => {
        const batch = waiting;
        waiting = [];
        sendBatch(batch);
      }, budget);
    }
    waiting.push(update);
  };
}
