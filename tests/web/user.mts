// For tests/packages/test_npm_package.py: a program of a user, compiled against the declarations of the client.

import {
  TickerError, connect, matcher, snapshot,
  type Book, type Candles, type Change, type Fields, type Instrument, type Level, type Subscription, type Trade,
} from "ticker-push-client";

const client = connect("https://localhost:8443", { intervalMs: 100, token: async () => "a token" });
client.addEventListener("change", (event) => {
  const change: Change = event.change;
  const time: number = change.time.getTime() + change.timeUs + change.cut;
  console.log(time);
});
client.addEventListener("state", ({ state, reason, retryMs, resumed, status, closeCode }) => {
  const known: "connecting" | "connected" | "waiting" | "closed" = state;
  const numbers: (number | undefined)[] = [retryMs, status, closeCode];
  const rest: [string | undefined, boolean | undefined] = [reason, resumed];
  console.log(known, numbers, rest);
});
client.addEventListener("refused", ({ name, code, text }) => console.log(name.length, code.toFixed(), text.length));

const subscription: Subscription = client.subscribe("EURUSD", "XAU*");
subscription.addEventListener("change", (event) => console.log(event.change.cut.toFixed()));
try {
  for await (const change of subscription) {
    const bid: string | null | undefined = change.changes["EURUSD"]?.bid;
    const trades: number | null | undefined = change.changes["EURUSD"]?.trade_count;
    console.log(bid, trades);
  }
} catch (error) {
  if (error instanceof TickerError) console.log(error.code?.toFixed(), error.status?.toFixed(), error.closeCode?.toFixed());
}

const values: Readonly<Fields> = client.values("EURUSD");
const bid: string | undefined = values.bid;
const own = values["note"];
if (typeof own === "string" || typeof own === "number") console.log(own);
const found: { instruments: Instrument[]; more: boolean } = await client.search("*", { after: "A" });
const matches: boolean = matcher("EUR*", "XAU?")("EURUSD");
console.log(bid, found.instruments[0]?.metadata["name"], matches, (await client.stats())["cut"], await client.ping());

const book: Book = client.book("BTC-USD", 10);
book.addEventListener("change", (event) => console.log(event.book.bids[0]?.[0].length));
const best: Level | undefined = book.bids[0];
const status: "live" | "stale" | "halted" | "closed" = book.status;
for await (const { asks, cut, reason } of book) console.log(best, status, asks[0]?.[1].length, cut.toFixed(), reason?.length);
for await (const trade of client.trades("BTC-USD")) {
  const { price, missed, side }: Trade = trade;
  const taker: "buy" | "sell" | null = side;
  console.log(price.length, missed.toFixed(), taker, trade.time.getTime());
}
const candles: Candles = client.candles("BTC-USD", "1m", 300, { fill: true });
const unbind: () => void = candles.bindTo({
  setData: (data: { time: number; open: number }[]) => console.log(data.length),
  update: (bar: { time: number; open: number }) => console.log(bar.open),
});
candles.bindTo({ setData: () => {}, update: () => {} }, ({ start, volume }) => ({ time: start, value: Number(volume) }));
unbind();
for await (const bar of candles) console.log(bar.start.toFixed(), bar.close.length, bar.volume?.length, bar.trades?.toFixed());
const size: string | null | undefined = (await subscription.next()).value?.changes["BTC-USD book:10"]?.bids?.[0]?.[1];
const verified: boolean = await client.verify();
const held: Record<string, Readonly<Fields>> = await snapshot("https://localhost:8443", ["EURUSD", "* book:10"]);
client.addEventListener("mismatch", ({ cut }) => console.log(cut.toFixed(), size, verified, held, client.features?.book[0]));

const several = connect(["https://a:8443", new URL("https://b:8443")], { intervalMs: 100 });
several.addEventListener("source", ({ since }) => console.log(since?.toISOString(), several.sourceSilentSince?.getTime()));
several.addEventListener("state", ({ url }) => console.log(url?.length, several.url.length));

// Errors that the declarations catch.

// @ts-expect-error a depth is a number
client.book("BTC-USD", "10");
// @ts-expect-error what a book shows is the service's
book.bids[0][0] = "1";

// @ts-expect-error a symbol is a text
client.values(1);
// @ts-expect-error there is no such property
client.addEventListener("change", (event) => event.changed);
// @ts-expect-error the state is not the user's to set
client.state = "closed";
// @ts-expect-error there is no such option
connect("https://localhost:8443", { interval: 100 });
