// The connection and its display: state, latency, update rate, and the diagnosis of a failure.

import { clock, duration, moment } from "./format.js";
import { diagnose } from "./diagnosis.js";
import { connect } from "../ticker.js";

const INTERVAL_MS = 50;
const MEASURE_EVERY = 5; // seconds
const KEY = "ticker.token";
const LATE_MS = 4000;

export class ConnectionPanel extends EventTarget {
  #subscription = null;
  #names = [];
  #updates = 0;
  #seconds = 0;
  #lostAt = null;
  #attempt = 0;
  #retryAt = 0;
  #reason = "";

  client = null;

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
    const client = connect(new URL(".", location.href), { intervalMs: INTERVAL_MS, ...(token ? { token } : {}) });
    this.client = client;
    this.#updates = 0;
    this.#subscription = null;
    this.#state("connecting", "Connecting");
    client.addEventListener("state", (event) => client === this.client && this.#stateChanged(event));
    client.addEventListener("source", ({ since }) => client === this.client && this.#sourceChanged(since));
    for (const kind of ["change", "refused"]) {
      client.addEventListener(kind, (event) => {
        const { change, name, code, text } = event;
        if (client === this.client) this.dispatchEvent(Object.assign(new Event(kind), { change, name, code, text }));
      });
    }
    setTimeout(() => client === this.client && client.state === "connecting" && this.#diagnose(""), LATE_MS);
    this.subscribe(this.#names);
  }

  /** Subscribe these names, and no others. */
  subscribe(names) {
    this.#names = names;
    const before = this.#subscription;
    this.#subscription = names.length > 0 ? this.client.subscribe(...names) : null;
    before?.close(); // after the new one, so that names of both stay subscribed
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
  }

  #stateChanged(event) {
    this.#attempt += 1;
    if (event.state === "connected") {
      this.#lostAt = null;
      this.#reason = "";
      this.page.notice.hidden = true;
      this.page.tokenForm.hidden = true;
      this.#showDelay(this.client.delaySeconds);
      this.#state("connected", event.resumed ? "Live, resumed" : "Live");
      setTimeout(() => this.client.state === "connected" && this.#state("connected", this.#liveText, { quiet: true }), 4000);
      this.#measureLatency();
    } else if (event.state === "connecting") {
      if (!this.#reason) this.#state("connecting", "Connecting");
    } else {
      this.#lostAt ??= this.client.cut > 0 ? new Date() : null;
      this.#retryAt = event.retryMs ? performance.now() + event.retryMs : 0;
      this.#state(event.state, event.state === "waiting" ? "No connection" : "Disconnected");
      this.page.latency.textContent = "–";
      if (!document.hidden) this.#diagnose(event.reason ?? "");
    }
    this.page.transport.textContent = this.client.transport === "events" ? "event stream" : "WebSocket";
    this.dispatchEvent(Object.assign(new Event("state"), { state: event.state, resumed: event.resumed }));
  }

  get #liveText() {
    return this.client.sourceSilentSince ? "No data" : "Live";
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
  async #diagnose(reason) {
    const attempt = (this.#attempt += 1);
    const diagnosis = await diagnose(storedToken());
    if (attempt !== this.#attempt && this.client.state === "connected") return;
    if (diagnosis.kind === "token") {
      this.page.notice.hidden = true;
      this.page.tokenReason.textContent = diagnosis.text;
      if (this.page.tokenForm.hidden) {
        this.page.tokenForm.hidden = false;
        this.page.token.focus();
      }
      return;
    }
    this.page.tokenForm.hidden = true;
    this.#reason = diagnosis.text || (reason ? `${reason[0].toUpperCase()}${reason.slice(1)}.` : "Neither a WebSocket nor an event stream can be had.");
    this.#showNotice();
  }

  #showNotice() {
    const head = this.#lostAt ? `The connection was lost at ${clock(this.#lostAt)}; the prices below are from before.` : "There is no connection.";
    const wait = Math.ceil((this.#retryAt - performance.now()) / 1000);
    const closed = this.client.state === "closed";
    const next = closed ? "Load the page again to try again." : wait > 0 ? `Trying again in ${wait} s.` : "Trying again.";
    this.#notify(`${head} ${this.#reason}`, next);
  }

  #notify(text, next) {
    this.page.notice.hidden = false;
    // Only the reason is for the screen reader, which would otherwise count the seconds aloud.
    setText(this.page.notice.children[0] ?? this.page.notice.appendChild(document.createElement("span")), text);
    const rest = this.page.notice.children[1] ?? this.page.notice.appendChild(document.createElement("span"));
    rest.setAttribute("aria-hidden", "true");
    setText(rest, next);
  }

  #state(state, text, { quiet = false } = {}) {
    this.page.state.dataset.state = state;
    setText(this.page.stateText, text);
    document.body.dataset.connection = state;
    if (!quiet && state !== "connecting") setText(this.page.announcer, text);
  }

  #updateEachSecond() {
    const { updates, state } = this.client ?? {};
    setText(this.page.rate, state === "connected" ? (updates - this.#updates).toLocaleString("en") : "–");
    this.#updates = updates ?? 0;
    this.#seconds += 1;
    if (state === "connected" && this.#seconds % MEASURE_EVERY === 0 && !document.hidden) this.#measureLatency();
    if (state !== "connected" && this.#reason) this.#showNotice();
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
      if (client === this.client && client.state === "connected") setText(this.page.latency, ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`);
    } catch {
      setText(this.page.latency, "–");
    }
  }
}

function storedToken() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
