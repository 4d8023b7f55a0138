// For test_javascript_types.py: a program of a user, compiled against the declarations of the client.

import { TickerError, connect, matcher, type Change, type Fields, type Instrument, type Subscription } from "ticker-push-client";

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
const own: string | number | undefined = values["note"];
const found: { instruments: Instrument[]; more: boolean } = await client.search("*", { after: "A" });
const matches: boolean = matcher("EUR*", "XAU?")("EURUSD");
console.log(bid, own, found.instruments[0]?.metadata["name"], matches, (await client.stats())["cut"], await client.ping());

// Errors that the declarations catch.

// @ts-expect-error a symbol is a text
client.values(1);
// @ts-expect-error there is no such property
client.addEventListener("change", (event) => event.changed);
// @ts-expect-error the state is not the user's to set
client.state = "closed";
// @ts-expect-error there is no such option
connect("https://localhost:8443", { interval: 100 });
