// The connection and its display: state, latency, update rate, and the diagnosis of a failure.

import { clock, duration, milliseconds, moment, NONE } from "./format.js";
import { diagnose } from "./diagnosis.js";
import { firstFetch } from "./first_answer.js";
import { FirstSocket } from "./first_socket.js";
import { serviceUrl, storedToken } from "./http.js";
import { Lag } from "./lag.js";
import { replaced } from "./replaced.js";
import { connect } from "../ticker.js";

const INTERVAL_MS = 50;
const MEASURE_EVERY = 5; // seconds
const KEY = "ticker.token";
const LATE_MS = 4000;
const BEHIND_MS = 2000; // what is called late
const RESUMED_MS = 4000;

export class ConnectionPanel extends EventTarget {
  #subscription = null;
  #updates = 0;
  #seconds = 0;
  #lostAt = null;
  #attempt = 0;
  #retryAt = 0;
  #reason = "";
  #counts = { live: 0, total: 0 };
  #resumedAt = -Infinity;
  #lag = new Lag();
  #cut = -1; // of the latest change on this connection

  client = null;
  names = []; // that are subscribed

  constructor(page) {
    super();
    this.page = page;
    page.tokenForm.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#useToken(page.token.value.trim());
    });
    setInterval(() => this.#updateEachSecond(), 1000);
  }

  /** Connect, or connect anew. */
  open() {
    this.client?.close();
    const token = storedToken();
    const client = connect(serviceUrl(), {
      intervalMs: INTERVAL_MS,
      fetch: firstFetch,
      ...(globalThis.WebSocket && { WebSocket: FirstSocket }),
      ...(token && { token }),
    });
    this.client = client;
    this.#updates = 0;
    this.#subscription = null;
    this.#state("connecting", "Connecting");
    client.addEventListener("state", (event) => client === this.client && this.#stateChanged(event));
    client.addEventListener("source", ({ since }) => client === this.client && this.#sourceChanged(since));
    for (const kind of ["change", "refused"]) {
      client.addEventListener(kind, (event) => {
        const { change, name, code, text } = event;
        if (client !== this.client) return;
        if (change) this.#measureChange(change);
        this.dispatchEvent(Object.assign(new Event(kind), { change, name, code, text }));
      });
    }
    this.#diagnoseIfLate();
    this.subscribe(this.names);
  }

  /**
   * Subscribe these names, and no others. Returns the error if the connection has no room for them, else null; of a limit
   * that is not known yet, `full` tells later.
   */
  subscribe(names) {
    const before = this.#subscription;
    this.names = names;
    this.#subscription = null;
    try {
      this.#subscription = replaced(before, () => (names.length > 0 ? this.client.subscribe(...names) : null));
    } catch (error) {
      return error;
    }
    const [client, subscription] = [this.client, this.#subscription];
    subscription?.complete().catch((error) => {
      if (subscription !== this.#subscription || client.state === "closed") return; // why it is closed, the notice says
      this.dispatchEvent(Object.assign(new Event("full"), { text: error.message }));
    });
    return null;
  }

  /** So many of the instruments shown have a price that is the market's present one. */
  count(live, total) {
    if (live === this.#counts.live && total === this.#counts.total) return;
    this.#counts = { live, total };
    this.#showLive();
  }

  /** Everything that has come is painted. */
  painted() {
    this.#lag.painted(Date.now());
  }

  #useToken(token) {
    try {
      sessionStorage.setItem(KEY, token);
    } catch {
      // without storage, the token is asked for on the next visit
    }
    this.page.token.value = "";
    this.page.tokenForm.hidden = true;
    this.open();
    this.dispatchEvent(new Event("opened"));
  }

  #stateChanged(event) {
    this.#attempt += 1;
    if (event.state === "connected") {
      this.#lostAt = null;
      this.#reason = "";
      this.page.notice.hidden = true;
      this.page.tokenForm.hidden = true;
      this.#showDelay(this.client.delaySeconds);
      this.#lag.reset();
      this.#cut = -1;
      this.#resumedAt = event.resumed ? performance.now() : -Infinity;
      if (event.resumed) setTimeout(() => this.#showLive(), RESUMED_MS + 100);
      this.#state("connected", this.#liveText);
      this.#measureLatency();
    } else if (event.state === "connecting") {
      this.#noteLoss();
      if (!this.#reason) this.#state("connecting", "Connecting");
      this.#diagnoseIfLate();
    } else {
      this.#noteLoss();
      this.#retryAt = event.retryMs ? performance.now() + event.retryMs : 0;
      this.#state(event.state, event.state === "waiting" ? "No connection" : "Disconnected");
      if (!document.hidden || event.state === "closed") this.#diagnose(event); // what is closed has no later moment
    }
    this.page.transport.textContent = this.client.transport === "events" ? "event stream" : "WebSocket";
    this.dispatchEvent(Object.assign(new Event("state"), { state: event.state, resumed: event.resumed }));
  }

  #noteLoss() {
    this.#lostAt ??= this.client.cut > 0 ? new Date() : null;
    this.page.latency.textContent = this.page.behind.textContent = NONE;
  }

  /** An attempt that takes long is told of before it ends. */
  #diagnoseIfLate() {
    const [client, attempt] = [this.client, this.#attempt];
    setTimeout(() => {
      if (client !== this.client || attempt !== this.#attempt || client.state !== "connecting" || document.hidden) return;
      if (this.#lostAt) this.#showNotice();
      this.#diagnose({});
    }, LATE_MS);
  }

  get #liveText() {
    if (this.client.sourceSilentSince) return "No data";
    const { live, total } = this.#counts;
    const resumed = performance.now() - this.#resumedAt < RESUMED_MS ? ", resumed" : "";
    return `${total > 0 ? `Live ${live.toLocaleString("en")} of ${total.toLocaleString("en")}` : "Connected"}${resumed}`;
  }

  /** The connection is one thing; whether prices are live is another. */
  #showLive() {
    if (this.client?.state !== "connected") return;
    const { live, total } = this.#counts;
    this.page.state.dataset.live = live === total ? "all" : live > 0 ? "some" : "none";
    setText(this.page.stateText, this.#liveText);
  }

  /** Mark prices that are later than the market. */
  #showDelay(seconds) {
    this.page.delay.hidden = !seconds;
    setText(this.page.delay, seconds ? `Delayed ${duration(seconds)}` : "");
  }

  /** The server hears nothing from the source of its data since then, or hears it again. */
  #sourceChanged(since) {
    this.#state("connected", this.#liveText);
    if (since) this.#notify(`No data from the source since ${moment(since)}; the prices below may be out of date.`, "");
    else this.page.notice.hidden = true;
  }

  /** Diagnose the failure, and display it. */
  async #diagnose(end) {
    const attempt = (this.#attempt += 1);
    const diagnosis = await diagnose(storedToken(), end);
    if (attempt !== this.#attempt && this.client.state === "connected") return;
    if (diagnosis.kind === "token") {
      this.page.notice.hidden = true;
      this.page.tokenReason.textContent = diagnosis.text;
      setText(this.page.stateText, "Token needed");
      if (this.page.tokenForm.hidden) {
        this.page.tokenForm.hidden = false;
        this.page.token.focus();
      }
      return;
    }
    this.page.tokenForm.hidden = true;
    const { reason = "" } = end;
    this.#reason = diagnosis.text || (reason ? `${reason[0].toUpperCase()}${reason.slice(1)}.` : "Neither a WebSocket nor an event stream can be had.");
    this.#showNotice();
  }

  #showNotice() {
    const head = this.#lostAt ? `The connection was lost at ${clock(this.#lostAt)}; the prices below are from before.` : "There is no connection.";
    const wait = Math.ceil((this.#retryAt - performance.now()) / 1000);
    const closed = this.client.state === "closed";
    const next = closed ? "Load the page again to try again." : wait > 0 ? `Trying again in ${wait} s.` : "Trying again.";
    this.#notify(`${head} ${this.#reason}`.trim(), next);
  }

  #notify(text, next) {
    this.page.notice.hidden = false;
    // Only the reason is for the screen reader, which would otherwise count the seconds aloud.
    setText(this.page.notice.children[0] ?? this.page.notice.appendChild(document.createElement("span")), text);
    const rest = this.page.notice.children[1] ?? this.page.notice.appendChild(document.createElement("span"));
    rest.setAttribute("aria-hidden", "true");
    setText(rest, next);
  }

  #state(state, text) {
    this.page.state.dataset.state = state;
    setText(this.page.stateText, text);
    this.#showLive();
    document.body.dataset.connection = state;
    if (state !== "connecting") setText(this.page.announcer, text);
  }

  #updateEachSecond() {
    const { updates, state } = this.client ?? {};
    setText(this.page.rate, state === "connected" ? (updates - this.#updates).toLocaleString("en") : "–");
    this.#updates = updates ?? 0;
    this.#seconds += 1;
    if (state === "connected") this.#showBehind(this.#lag.read(Date.now()));
    if (state === "connected" && this.#seconds % MEASURE_EVERY === 0 && !document.hidden) this.#measureLatency();
    if (state !== "connected" && this.#reason) this.#showNotice();
  }

  /** What is new of a later cut has come just now; the copy of a cut that is known may be old. */
  #measureChange({ cut, time }) {
    if (cut > this.#cut && this.#cut >= 0) this.#lag.changed(time.getTime(), Date.now());
    this.#cut = Math.max(this.#cut, cut);
  }

  #showBehind(ms) {
    setText(this.page.behind, milliseconds(ms));
    this.page.behind.dataset.late = ms > BEHIND_MS ? "yes" : "no";
  }

  /** Measure the round trip to the service. */
  async #measureLatency() {
    const { client } = this;
    try {
      let ms;
      if (client.transport === "websocket") ms = await client.ping();
      else {
        const sent = performance.now();
        await fetch("healthz", { cache: "no-store", signal: AbortSignal.timeout(5000) });
        ms = performance.now() - sent;
      }
      if (client !== this.client || client.state !== "connected") return;
      this.#lag.roundTrip = ms;
      setText(this.page.latency, milliseconds(ms));
    } catch {
      setText(this.page.latency, NONE);
    }
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
