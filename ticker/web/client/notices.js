/**
 * Errors, on the console, unless the user listens for them: names that bring nothing, and connections that fail.
 *
 * A name or pattern is also reported, as `unmatched`, if for some seconds after the server's answer no instrument has it.
 */

import { Code } from "./errors.js";
import { eventOf } from "./events.js";
import { excerpt } from "./texts.js";

const UNAUTHORIZED = 401;
const MAX_REASONS = 20; // of one outage, that are said

const SHOWN = 5; // names in one line

/** @typedef {import("./messages.js").Outcome} Outcome */
/** @typedef {{hasListened: (type: "mismatch" | "refused" | "source" | "state" | "unmatched") => boolean, dispatchEvent: (event: Event) => boolean}} Target */

export class Notices {
  #target;
  #unmatched;
  #afterMs;
  /** @type {Set<string>} */
  #reasons = new Set();
  /** @type {Set<string>} */
  #reported = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {Target} target for whose events the user may listen
   * @param {() => string[]} unmatched the names without an instrument, as far as the server has answered for them
   * @param {number} afterMs
   */
  constructor(target, unmatched, afterMs) {
    this.#target = target;
    this.#unmatched = unmatched;
    this.#afterMs = afterMs;
  }

  /**
   * The server refused some names. Those that it only does not know yet may come in a moment.
   * @param {Outcome[]} outcomes
   */
  refused(outcomes) {
    const final = outcomes.filter(({ code }) => code !== Code.UNKNOWN_SYMBOL);
    if (final.length === 0 || this.#target.hasListened("refused")) return;
    const [{ name, text }] = final;
    const more = final.length > 1 ? ` (and ${final.length - 1} more names)` : "";
    console.warn(`ticker: ${excerpt(name)}: ${excerpt(text)}${more}`);
  }

  /** The server has answered for some names: look after some seconds which of them have no instrument. */
  answered() {
    if (this.#timer !== undefined) return;
    const names = this.#unmatched();
    for (const name of this.#reported) if (!names.includes(name)) this.#reported.delete(name);
    const suspects = names.filter((name) => !this.#reported.has(name));
    if (suspects.length === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const still = new Set(this.#unmatched());
      this.#report(suspects.filter((name) => still.has(name)));
      this.answered(); // for names that were answered meanwhile
    }, this.#afterMs);
    // A program that has nothing else to do may end.
    /** @type {{unref?: () => void}} */ (/** @type {unknown} */ (this.#timer)).unref?.();
  }

  /** @param {string[]} names */
  #report(names) {
    const seconds = this.#afterMs / 1000;
    for (const name of names) {
      this.#reported.add(name);
      this.#target.dispatchEvent(eventOf("unmatched", { name, seconds }));
    }
    if (names.length === 0 || this.#target.hasListened("unmatched")) return;
    const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more names` : "";
    const shown = `${names.slice(0, SHOWN).map(excerpt).join(", ")}${more}`;
    console.warn(`ticker: ${shown}: no instrument for ${seconds} s; is it the right name? Should one appear, it will join`);
  }

  /**
   * The copy was not what the server has.
   * @param {number} cut
   */
  mismatch(cut) {
    if (this.#target.hasListened("mismatch")) return;
    console.warn(`ticker: the copy differs from the service's at cut ${cut}; it is dropped, and everything subscribed anew`);
  }

  /**
   * The server hears nothing from its source since then, or hears it again.
   * @param {Date | null} since
   */
  source(since) {
    if (this.#target.hasListened("source")) return;
    console.warn(since ? `ticker: no data from the source since ${since.toISOString()}` : "ticker: data from the source again");
  }

  /** A connection is up. */
  connected() {
    if (this.#reasons.size > 0 && !this.#target.hasListened("state")) console.warn("ticker: connected again");
    this.#reasons.clear();
  }

  /**
   * A connection failed; each reason of an outage is said once.
   * @param {string} reason
   */
  lost(reason) {
    if (this.#target.hasListened("state") || this.#reasons.has(reason) || this.#reasons.size >= MAX_REASONS) return;
    this.#reasons.add(reason);
    console.warn(`ticker: ${reason}; trying again until it works`);
  }

  /**
   * The client has given up. Where that is for want of a token, say where one goes.
   * @param {import("./http.js").End} end
   */
  ended({ reason, status }) {
    const remedy = status === UNAUTHORIZED ? ": give connect() the option token, a function that brings a fresh one" : "";
    if (!this.#target.hasListened("state")) console.error(`ticker: ${reason}; the client gives up${remedy}`);
  }

  /** The client is closed. */
  close() {
    clearTimeout(this.#timer);
  }
}
