// The dialog of the alerts, and the bar that says which have come true.

import { described, KINDS, problemOf, typedNumber } from "./alerts.js";

export class AlertPanel extends EventTarget {
  #page;
  #alerts;
  #bell;
  #directory;
  #edited;
  #submitted = null; // what is being looked up

  /** Dispatches `open` with the symbol of an alert that the user wants to see. */
  constructor(page, alerts, bell, directory) {
    super();
    this.#page = page;
    this.#alerts = alerts;
    this.#bell = bell;
    this.#directory = directory;
    page.alertKind.replaceChildren(...Object.entries(KINDS).map(([id, { title }]) => new Option(title, id)));
    page.alertKind.addEventListener("change", () => this.#showKind());
    page.alertForm.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    page.alertList.addEventListener("click", (event) => this.#command(event.target.closest("[data-act]")));
    page.alertBar.addEventListener("click", (event) => this.#command(event.target.closest("[data-act]")));
    page.alertSound.addEventListener("change", () => this.#useSound());
    page.alertNotify.addEventListener("change", () => this.#useNotifications());
    alerts.addEventListener("change", () => this.#show());
    alerts.addEventListener("fired", ({ alert }) => this.#tell(alert));
    this.#show();
  }

  /** Open the dialog with a new alert for a symbol, if one is given, at its present price. */
  open(symbol = "", price = "") {
    this.#edit({ symbol, kind: "cross", value: price });
    this.#show();
    this.#page.alerts.showModal();
    (symbol ? this.#page.alertValue : this.#page.alertSymbol).focus();
    this.#page.alertValue.select();
  }

  #edit(alert) {
    const { alertSymbol, alertKind, alertValue, alertError } = this.#page;
    [alertSymbol.value, alertKind.value, alertValue.value] = [alert.symbol, alert.kind, alert.value];
    alertError.textContent = "";
    this.#name(alert.id);
    this.#showKind();
  }

  /** Have the form be for the alert with this id, or a new one. */
  #name(id) {
    this.#edited = id;
    this.#page.alertSave.textContent = id === undefined ? "Add" : "Save";
  }

  #showKind() {
    const { alertKind, alertValue, alertValueLabel } = this.#page;
    const { value } = KINDS[alertKind.value];
    alertValueLabel.hidden = alertValue.disabled = value === null;
    alertValueLabel.firstChild.data = value ?? "";
  }

  /** What stands in the form; `id` is that of the alert that is edited. */
  get #given() {
    const { alertSymbol, alertKind, alertValue } = this.#page;
    const kind = alertKind.value;
    return { id: this.#edited, symbol: alertSymbol.value.trim(), kind, value: KINDS[kind].value === null ? "" : typedNumber(alertValue.value) };
  }

  /** Keep the alert. The symbol may have to be looked up; what is typed meanwhile stays. */
  async #submit() {
    const given = this.#given;
    const text = JSON.stringify(given);
    if (text === this.#submitted) return;
    this.#submitted = text;
    const { symbol, problem } = await this.#checked(given);
    this.#submitted = null;
    this.#page.alertError.textContent = problem;
    if (problem) return;
    this.#alerts.put({ ...given, symbol });
    if (JSON.stringify(this.#given) === text) {
      this.#edit({ symbol: "", kind: given.kind, value: "" });
      this.#page.alertSymbol.focus();
    } else if (given.id !== undefined && given.id === this.#edited) this.#name(undefined);
  }

  /** The symbol as the service writes it, or why the alert cannot be kept. */
  async #checked({ id, symbol, kind, value }) {
    let problem = problemOf({ kind, value });
    if (problem) return { problem };
    try {
      const known = symbol ? await this.#directory.symbolOf(symbol) : undefined;
      if (known === undefined) problem = `Symbol: this service has no ${symbol || "instrument without a symbol"}`;
      else if (id === undefined && this.#alerts.full) problem = "There are as many alerts as this page keeps; delete one first";
      return { symbol: known, problem };
    } catch (error) {
      return { problem: `Symbol: ${symbol} could not be looked up: ${error.message}` };
    }
  }

  #command(button) {
    if (button === null) return;
    const { act, id } = button.dataset;
    const alert = this.#alerts.all.find((each) => each.id === id);
    if (act === "arm") this.#alerts.arm(id);
    else if (act === "remove") this.#alerts.remove(id);
    else if (act === "edit") this.#edit(alert);
    else if (act === "show" && alert) this.dispatchEvent(Object.assign(new Event("open"), { symbol: alert.symbol }));
    if (button.closest("#alert-bar")) button.closest(".fired").remove();
    this.#page.alertBar.hidden = this.#page.alertBar.children.length === 0;
    if (act === "edit") this.#page.alertValue.focus();
  }

  #show() {
    const { alertList, alertsOpen, alertSound, alertNotify, alertNone } = this.#page;
    const { all, sound, notify } = this.#alerts;
    alertList.replaceChildren(...all.map((alert) => entry(alert, this.#alerts.isLeftOut(alert))));
    alertNone.hidden = all.length > 0;
    alertList.hidden = all.length === 0;
    [alertSound.checked, alertNotify.checked] = [sound, notify];
    const armed = all.filter((alert) => alert.armed).length;
    alertsOpen.querySelector(".count").textContent = armed > 0 ? String(armed) : "";
    alertsOpen.querySelector(".unseen").textContent = `Alerts: ${armed} armed`;
  }

  #tell(alert) {
    const { alertBar } = this.#page;
    const line = document.createElement("p");
    line.className = "fired";
    const text = document.createElement("span");
    text.textContent = alert.said;
    line.append(text, button("show", alert.id, "Show"), button("arm", alert.id, "Arm again"), button("dismiss", alert.id, "Dismiss"));
    alertBar.prepend(line);
    while (alertBar.children.length > 5) alertBar.lastElementChild.remove();
    alertBar.hidden = false;
    if (this.#alerts.sound) this.#bell.ring();
    if (this.#alerts.notify) this.#bell.notify(alert.id, alert.said);
  }

  #useSound() {
    const sound = this.#page.alertSound.checked;
    if (sound) this.#bell.ring();
    this.#alerts.use({ sound });
  }

  async #useNotifications() {
    const wanted = this.#page.alertNotify.checked;
    const notify = wanted && (await this.#bell.mayNotify());
    this.#page.alertError.textContent = wanted && !notify ? "This browser does not let this page notify; its settings for this site may" : "";
    this.#alerts.use({ notify });
  }
}

function entry(alert, leftOut) {
  const item = document.createElement("li");
  const [text, state] = [document.createElement("span"), document.createElement("small")];
  text.textContent = described(alert);
  state.textContent = !alert.armed ? alert.said : leftOut ? "not watched: a connection to this service has no room for more symbols" : armed(alert);
  item.dataset.armed = String(alert.armed);
  text.append(state);
  item.append(text);
  if (!alert.armed) item.append(button("arm", alert.id, "Arm again"));
  item.append(button("edit", alert.id, "Edit"), button("remove", alert.id, "Delete"));
  for (const each of item.querySelectorAll("button")) each.setAttribute("aria-label", `${each.textContent}: ${text.firstChild.data}`);
  return item;
}

/** What an armed alert has seen so far. */
function armed({ kind, base, side }) {
  if (kind === "cross") return side === null ? "armed, no price yet" : `armed, the price is ${side < 0 ? "below" : side > 0 ? "above" : "there"}`;
  return kind === "move" && base === null ? "armed, no price yet" : "armed";
}

function button(act, id, title) {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", textContent: title });
  Object.assign(made.dataset, { act, id });
  return made;
}
