// For test_react_hooks.py: what each hook returns, in a page; and a table that the service does not have, in an error boundary.

import { Component, StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { connect } from "ticker-push-client";
import { useBook, useCandles, useConnection, useTrades, useValues } from "ticker-push-client/react";

const client = (window.client = connect(new URLSearchParams(location.search).get("ticker")));

class Boundary extends Component {
  state = {};
  static getDerivedStateFromError = (error) => ({ error });
  render = () => (this.state.error ? <p id="error">{this.state.error.message}</p> : this.props.children);
}

function All({ symbol }) {
  window.renders = (window.renders ?? 0) + 1;
  const values = useValues(client, symbol);
  const trades = useTrades(client, symbol, 5);
  const candles = useCandles(client, symbol, "1m", 20, { fill: true });
  return (
    <>
      <p id="values">{JSON.stringify(values)}</p>
      <p id="trades">{trades.length} {trades.at(-1)?.price}</p>
      <p id="candles">{candles.length} {candles.at(-1)?.close}</p>
      <p id="connection">{useConnection(client)}</p>
    </>
  );
}

const Deep = () => <p id="deep">{useBook(client, "EURUSD", 7_777).status}</p>;

function Page() {
  const [symbol, choose] = useState("EURUSD");
  return (
    <>
      <button onClick={() => choose(symbol === "EURUSD" ? "XAUUSD" : null)}>{symbol}</button>
      {symbol && <All symbol={symbol} />}
      <Boundary><Deep /></Boundary>
    </>
  );
}

createRoot(document.querySelector("#root")).render(<StrictMode><Page /></StrictMode>);
