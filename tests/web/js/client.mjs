// For tests/web/javascript.py: clients that follow orders, lines of JSON on stdin, and print their events on stdout.

import { createInterface } from "node:readline";
import { Client } from "../../../ticker/web/client/client.js";
import { TIMING, basesOf } from "../../../ticker/web/client/options.js";
import { snapshot } from "../../../ticker/web/ticker.js";

// A network in which WebSockets do not work.
class Blocked extends WebSocket {
  constructor(address, protocols) {
    super(address.replace("/v1/stream", "/nowhere"), protocols);
  }
}

/** A network in which these bytes of a message become other ones, so many times. */
function altering({ from, to, times }) {
  const [before, after] = [from, to].map((hex) => Buffer.from(hex, "hex"));
  const altered = (data) => {
    const bytes = Buffer.from(data);
    const at = bytes.indexOf(before);
    if (at < 0 || times-- <= 0) return data;
    return Uint8Array.from([...bytes.subarray(0, at), ...after, ...bytes.subarray(at + before.length)]).buffer;
  };
  return class extends WebSocket {
    set onmessage(handler) {
      super.onmessage = handler && (({ data }) => handler({ data: altered(data) }));
    }
  };
}

class Program {
  constructor(label) {
    this.label = label;
    this.subscriptions = new Map();
    this.page = Object.assign(new EventTarget(), { hidden: false });
  }

  print(told) {
    console.log(JSON.stringify({ client: this.label, ...told }));
  }

  connect({ url, options: { tokens, page, blocked, altered, without, timing, ...options } }) {
    // Each token is for one call; the last one stays.
    if (tokens) options.token = async () => (tokens.length > 1 ? tokens.shift() : tokens[0]);
    if (blocked) options.WebSocket = Blocked;
    if (altered) options.WebSocket = altering(altered);
    if (without) options.WebSocket = null;
    if (page) globalThis.document = this.page;
    this.client = new Client(basesOf(url), options, { ...TIMING, ...timing });
    delete globalThis.document;
    this.client.addEventListener("state", ({ state, reason, retryMs, resumed, url, code, status, closeCode }) => {
      this.print({ state, reason, retryMs, resumed, url, code, status, closeCode, transport: this.client.transport });
    });
    this.client.addEventListener("unmatched", ({ name, seconds }) => this.print({ unmatched: name, seconds }));
    this.client.addEventListener("mismatch", ({ cut }) => this.print({ mismatch: cut }));
    this.client.addEventListener("refused", ({ name, code, text }) => this.print({ refused: name, code, text }));
  }

  subscribe({ as, names, fields, idle }) {
    const subscription = this.client.subscribe(...names, ...(fields ? [{ fields }] : []));
    this.subscriptions.set(as, subscription);
    subscription.addEventListener("change", ({ change }) => this.print({ event: as, changes: change.changes }));
    if (!idle) this.iterate({ as });
  }

  /** Not awaited: the loop lasts as long as the subscription. */
  iterate({ as }) {
    const loop = async () => {
      for await (const change of this.subscriptions.get(as)) this.print({ subscription: as, ...change });
    };
    loop().then(
      () => this.print({ ended: as }),
      ({ message, code, status, closeCode, name }) => {
        this.print({ ended: as, because: message, code, status, closeCode, kind: name });
      },
    );
  }

  /** A book, trades or candles. */
  read({ as, kind, given, idle }) {
    const reader = this.client[kind](...given);
    this.subscriptions.set(as, reader);
    reader.addEventListener("change", ({ trades, bars }) => this.print({ event: as, ...this.view({ as }), trades, bars }));
    if (!idle) this.follow({ as });
  }

  /** Not awaited: the loop lasts as long as the reader. */
  follow({ as }) {
    const loop = async () => {
      for await (const item of this.subscriptions.get(as)) {
        this.print({ reader: as, ...(item === this.subscriptions.get(as) ? this.view({ as }) : item) });
      }
    };
    loop().then(
      () => this.print({ ended: as }),
      ({ message, code }) => this.print({ ended: as, because: message, code }),
    );
  }

  view({ as }) {
    const { name, status, reason, cut, timeUs, bids, asks, latest, bars } = this.subscriptions.get(as);
    return { name, status, reason, cut, timeUs, bids, asks, latest, bars };
  }

  complete({ as }) {
    return this.subscriptions.get(as).complete();
  }

  verify() {
    return this.client.verify();
  }

  features() {
    return this.client.features;
  }

  snapshot({ url, names, options }) {
    return snapshot(url, names, options);
  }

  unsubscribe({ as }) {
    this.subscriptions.get(as).close();
  }

  values({ symbol }) {
    return this.client.values(symbol);
  }

  number({ symbol, field }) {
    return String(this.client.number(symbol, field));
  }

  instrument({ symbol }) {
    return this.client.instrument(symbol) ?? null;
  }

  search({ match, after, text }) {
    return this.client.search(match, { after, text });
  }

  stats() {
    return this.client.stats();
  }

  ping() {
    return this.client.ping();
  }

  figures() {
    const { cut, time, updates, bytes, state, transport } = this.client;
    return { cut, time, updates, bytes, state, transport };
  }

  show({ hidden }) {
    this.page.hidden = hidden;
    this.page.dispatchEvent(new Event("visibilitychange"));
  }

  close() {
    this.client.close();
  }

  leave() {
    programs.delete(this.label);
    this.client.close();
  }
}

const programs = new Map();

console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const { client, id, do: order, ...given } = JSON.parse(line);
  const program = programs.get(client) ?? new Program(client);
  programs.set(client, program);
  // Not awaited: an order that takes long must not keep the next one from being followed.
  Promise.resolve()
    .then(() => program[order](given))
    .then((value) => program.print({ answers: id, value }))
    .catch((error) => program.print({ answers: id, failed: error.message, code: error.code }));
}
