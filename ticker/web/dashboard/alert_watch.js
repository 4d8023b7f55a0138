// The prices of the alerts: a connection of their own while one is armed, which goes on while the page is hidden.

import { clock, grouped } from "./format.js";
import { serviceUrl, storedToken } from "./http.js";
import { Quotes } from "./quotes.js";
import { replaced } from "./replaced.js";
import { connect } from "../ticker.js";

const INTERVAL_MS = 250;
const LOST_MS = 5000; // a connection that is back within this time was not lost

export class AlertWatch {
  #alerts;
  #client = null;
  #subscription = null;
  #fit = ""; // the symbols that are subscribed: those for which the connection has room
  #quotes = new Quotes();
  #timer;

  constructor(alerts) {
    this.#alerts = alerts;
    alerts.addEventListener("change", () => this.#follow());
    this.#follow();
  }

  /** Connect anew: there is another token. */
  restart() {
    this.#close();
    this.#follow();
  }

  #follow() {
    const { symbols } = this.#alerts;
    if (symbols.length === 0) {
      this.#close();
      return;
    }
    this.#subscribe(symbols);
    for (const symbol of symbols) if (this.#quotes.get(symbol)?.known) this.#look(symbol);
  }

  #subscribe(symbols) {
    this.#client ??= this.#open();
    const fit = symbols.slice(0, this.#client.limits.symbols);
    this.#alerts.leaveOut(symbols.slice(fit.length));
    if (fit.join() === this.#fit) return;
    this.#fit = fit.join();
    this.#subscription = replaced(this.#subscription, () => this.#client.subscribe(...fit));
  }

  #open() {
    const token = storedToken();
    const options = { intervalMs: INTERVAL_MS, whenHidden: "stream", ...(token ? { token } : {}) };
    const client = connect(serviceUrl(), options);
    client.addEventListener("change", ({ change }) => {
      if (client !== this.#client) return;
      this.#quotes.apply(change);
      for (const symbol in change.changes) this.#look(symbol);
    });
    client.addEventListener("state", ({ state }) => {
      clearTimeout(this.#timer);
      if (client !== this.#client) return;
      if (state === "connected") this.#subscribe(this.#alerts.symbols); // the limits of this connection may be others
      else if (state === "waiting" || state === "closed") this.#timer = setTimeout(() => this.#lost(), LOST_MS);
    });
    client.addEventListener("refused", () => {}); // the list says what is wrong with a name
    client.addEventListener("unmatched", () => {});
    return client;
  }

  #close() {
    const client = this.#client;
    this.#client = this.#subscription = null;
    this.#fit = "";
    this.#quotes = new Quotes();
    clearTimeout(this.#timer);
    client?.close();
  }

  #look(symbol) {
    const { price, state, known, values, digits } = this.#quotes.of(symbol);
    const text = Number.isNaN(price) ? "" : grouped(values.last ?? price.toFixed(digits));
    if (known) this.#alerts.look(symbol, { price, state, text }, clock(new Date()));
  }

  #lost() {
    for (const symbol of this.#alerts.symbols) this.#alerts.look(symbol, { price: NaN, state: "no connection", text: "" }, clock(new Date()));
  }
}
