// Alerts: what the user wants to be told of, once each, until it is armed again. Kept between visits.

import { grouped, MINUS } from "./format.js";
import { load, save, watch } from "./storage.js";

const KEY = "ticker.alerts";
const VERSION = 1;
const MOST_ALERTS = 100;
const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)$/;

/** What an alert can wait for; `value` says what its number is. */
export const KINDS = {
  cross: { title: "price crosses", value: "Price" },
  move: { title: "price moves by %", value: "Per cent" },
  stale: { title: "is no longer live", value: null },
};

const isText = (value) => typeof value === "string";
const isAlert = (alert) =>
  isText(alert?.id) && isText(alert.symbol) && alert.kind in KINDS && isText(alert.value) && typeof alert.armed === "boolean" &&
  isText(alert.said) && [alert.base, alert.side].every((each) => each === null || Number.isFinite(each));
const isKept = (value) => Array.isArray(value?.alerts) && value.alerts.every(isAlert);

/** Why an alert cannot be; empty if it can. */
export function problemOf({ kind, value }) {
  if (KINDS[kind].value === null) return "";
  const number = Number(value);
  if (!DECIMAL.test(value) || !Number.isFinite(number)) return `${KINDS[kind].value}: give a number, such as ${kind === "move" ? "2.5" : "1.0850"}`;
  return kind === "move" && number <= 0 ? "Per cent: give a number above 0" : "";
}

/** A number as somebody types it: with thousands set apart, or a comma of a keyboard that has no point. */
export function typedNumber(text) {
  const plain = text.trim().replaceAll(MINUS, "-").replace(/\s|'|_/g, "");
  return /^[^.,]*,\d{1,2}$|^[+-]?0,\d+$/.test(plain) ? plain.replace(",", ".") : plain.replaceAll(",", "");
}

/** What an alert waits for, in words. */
export function described({ symbol, kind, value, base }) {
  if (kind === "stale") return `${symbol} is no longer live`;
  if (kind === "cross") return `${symbol} crosses ${grouped(value)}`;
  return `${symbol} moves by ${value} %${base === null ? "" : ` from ${grouped(String(base))}`}`;
}

/**
 * What becomes of an armed alert at a price (NaN: not known) and a state: `{fired, base, side}`, where `fired` says in words
 * that it has come true. The first price is what the others are compared with.
 */
export function judge(alert, { price, state, text }) {
  const { kind, base, side, symbol } = alert;
  if (kind === "stale") return { base, side, fired: state === "live" ? "" : `${symbol}: ${state}` };
  if (Number.isNaN(price) || state !== "live") return { base, side, fired: "" };
  const level = Number(alert.value);
  if (kind === "cross") {
    const now = Math.sign(price - level);
    if (side === null) return { base, side: now, fired: now === 0 ? `${symbol} is at ${text}` : "" };
    const crossed = now !== side && (now !== 0 || side !== 0);
    return { base, side: now, fired: crossed ? `${symbol} ${now < 0 ? "fell" : "rose"} to ${text}, across ${grouped(alert.value)}` : "" };
  }
  if (base === null || base === 0) return { base: price, side, fired: "" };
  const percent = ((price - base) / Math.abs(base)) * 100;
  const moved = `${percent < 0 ? MINUS : "+"}${Math.abs(percent).toFixed(2)} %`;
  return { base, side, fired: Math.abs(percent) >= level ? `${symbol} moved ${moved}, to ${text}` : "" };
}

export class Alerts extends EventTarget {
  #alerts;
  #leftOut = "";

  constructor() {
    super();
    const kept = load(KEY, VERSION, isKept);
    this.#alerts = kept?.alerts ?? [];
    this.sound = kept?.sound === true;
    this.notify = kept?.notify === true;
    watch(KEY, () => this.#changedElsewhere());
  }

  get all() {
    return this.#alerts;
  }

  /** Symbols for which an alert is armed. */
  get symbols() {
    return [...new Set(this.#alerts.filter(({ armed }) => armed).map(({ symbol }) => symbol))];
  }

  /** Note the symbols that nothing watches, because a connection has no room for them. */
  leaveOut(symbols) {
    const before = this.#leftOut;
    this.#leftOut = symbols.join();
    if (this.#leftOut !== before) this.dispatchEvent(new Event("change"));
  }

  isLeftOut({ symbol }) {
    return this.#leftOut.split(",").includes(symbol);
  }

  get full() {
    return this.#alerts.length >= MOST_ALERTS;
  }

  /** Add an alert, or change the one with this id; it is armed then. */
  put({ id, symbol, kind, value }) {
    const alert = { id: id ?? crypto.randomUUID(), symbol, kind, value, armed: true, said: "", base: null, side: null };
    const known = this.#alerts.some((each) => each.id === id);
    this.#set(known ? this.#alerts.map((each) => (each.id === id ? alert : each)) : [...this.#alerts, alert]);
  }

  arm(id) {
    this.put(this.#alerts.find((each) => each.id === id));
  }

  remove(id) {
    this.#set(this.#alerts.filter((each) => each.id !== id));
  }

  /** Use sound, or notifications, or not. */
  use(settings) {
    Object.assign(this, settings);
    this.#set(this.#alerts);
  }

  /** Look at a price. Dispatches `fired` for each alert that has come true. */
  look(symbol, seen, time) {
    let changed = false;
    const fired = [];
    for (const alert of this.#alerts) {
      if (!alert.armed || alert.symbol !== symbol) continue;
      const after = judge(alert, seen);
      // Another side without having fired is a level that was left; it counts when this page is loaded again.
      changed ||= after.base !== alert.base || after.side !== alert.side || after.fired !== "";
      [alert.base, alert.side] = [after.base, after.side];
      if (!after.fired) continue;
      alert.armed = false;
      alert.said = `${after.fired} (${time})`;
      fired.push(alert);
    }
    if (changed) this.#set(this.#alerts);
    for (const alert of fired) this.dispatchEvent(Object.assign(new Event("fired"), { alert }));
  }

  #set(alerts) {
    this.#alerts = alerts;
    save(KEY, VERSION, { alerts, sound: this.sound, notify: this.notify });
    this.dispatchEvent(new Event("change"));
  }

  #changedElsewhere() {
    const kept = load(KEY, VERSION, isKept);
    if (kept === null) return;
    this.#alerts = kept.alerts;
    [this.sound, this.notify] = [kept.sound === true, kept.notify === true];
    this.dispatchEvent(new Event("change"));
  }
}
