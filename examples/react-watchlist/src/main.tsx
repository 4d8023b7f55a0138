// A watchlist with a ladder of the chosen instrument. Each row renders when its own prices change, and no other row does.

import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { connect, type Client } from "ticker-push-client";
import { useBook, useConnection, useValues } from "ticker-push-client/react";

const address = new URLSearchParams(location.search).get("ticker") ?? "https://localhost:8443";
const client = connect(address, { intervalMs: 100 });
const SYMBOLS = ["EURUSD", "GBPUSD", "USDJPY", "XAUUSD"];

function Watchlist({ client }: { client: Client }) {
  const [chosen, choose] = useState("EURUSD");
  return (
    <>
      <p role="status">{useConnection(client)}</p>
      <table>
        <thead>
          <tr><th>Symbol</th><th>Bid</th><th>Ask</th></tr>
        </thead>
        <tbody>
          {SYMBOLS.map((symbol) => <Row key={symbol} client={client} symbol={symbol} onClick={() => choose(symbol)} />)}
        </tbody>
      </table>
      <Ladder client={client} symbol={chosen} />
    </>
  );
}

function Row({ client, symbol, onClick }: { client: Client; symbol: string; onClick: () => void }) {
  const { bid, ask, status } = useValues(client, symbol);
  return (
    <tr id={symbol} className={status === "live" ? "" : "stale"} onClick={onClick}>
      <td><button type="button">{symbol}</button></td>
      <td className="bid">{bid ?? "–"}</td>
      <td className="ask">{ask ?? "–"}</td>
    </tr>
  );
}

function Ladder({ client, symbol }: { client: Client; symbol: string }) {
  const { bids, asks, status, reason } = useBook(client, symbol, 10);
  return (
    <table id="ladder" className={status === "live" ? "" : "stale"}>
      <caption>{symbol} {status === "live" ? "" : (reason ?? status)}</caption>
      <tbody>
        {asks.toReversed().map(([price, size]) => <tr key={price}><td className="ask">{price}</td><td>{size}</td></tr>)}
        {bids.map(([price, size]) => <tr key={price}><td className="bid">{price}</td><td>{size}</td></tr>)}
      </tbody>
    </table>
  );
}

createRoot(document.querySelector("#root")!).render(<StrictMode><Watchlist client={client} /></StrictMode>);
