// The dialog of the alerts, and the bar that says which have come true.

import { described, KINDS, problemOf, typedNumber } from "./alerts.js";

export class AlertPanel extends EventTarget {
  #page;
  #alerts;
  #bell;
  #directory;
  #edited = null;

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
    this.#edit({ id: undefined, symbol, kind: "cross", value: price });
    this.#show();
    this.#page.alerts.showModal();
    (symbol ? this.#page.alertValue : this.#page.alertSymbol).focus();
    this.#page.alertValue.select();
  }

  #edit(alert) {
    const { alertSymbol, alertKind, alertValue, alertError, alertSave } = this.#page;
    this.#edited = alert.id;
    [alertSymbol.value, alertKind.value, alertValue.value] = [alert.symbol, alert.kind, alert.value];
    alertError.textContent = "";
    alertSave.textContent = alert.id === undefined ? "Add" : "Save";
    this.#showKind();
  }

  #showKind() {
    const { alertKind, alertValue, alertValueLabel } = this.#page;
    const { value } = KINDS[alertKind.value];
    alertValueLabel.hidden = alertValue.disabled = value === null;
    alertValueLabel.firstChild.data = value ?? "";
  }

  async #submit() {
    const { alertSymbol, alertKind, alertValue, alertError } = this.#page;
    const kind = alertKind.value;
    const value = KINDS[kind].value === null ? "" : typedNumber(alertValue.value);
    alertError.textContent = problemOf({ kind, value });
    if (alertError.textContent) return;
    const symbol = await this.#symbolOf(alertSymbol.value.trim());
    if (symbol === undefined) alertError.textContent = `Symbol: this service has no ${alertSymbol.value.trim() || "instrument without a symbol"}`;
    else if (this.#edited === undefined && this.#alerts.full) alertError.textContent = "There are as many alerts as this page keeps; delete one first";
    if (alertError.textContent) return;
    this.#alerts.put({ id: this.#edited, symbol, kind, value });
    this.#edit({ id: undefined, symbol: "", kind, value: "" });
    alertSymbol.focus();
  }

  async #symbolOf(text) {
    try {
      return text ? await this.#directory.symbolOf(text) : undefined;
    } catch {
      return undefined;
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
    alertList.replaceChildren(...all.map((alert) => entry(alert)));
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

function entry(alert) {
  const item = document.createElement("li");
  const [text, state] = [document.createElement("span"), document.createElement("small")];
  text.textContent = described(alert);
  state.textContent = alert.armed ? armed(alert) : alert.said;
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
