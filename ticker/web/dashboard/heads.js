// The heads of the columns: buttons that sort, reached with the arrow keys; Alt with an arrow moves the column.

import { columnOf } from "./columns.js";

// A click more: names from the first letter on, numbers from the largest down, then the other way, then the list's own order.
const TURNS = {
  text: { none: "ascending", ascending: "descending", descending: null },
  number: { none: "descending", descending: "ascending", ascending: null },
};

export class Heads extends EventTarget {
  #element;
  #choice;
  #tail;
  #current = "symbol";

  constructor(element, choice) {
    super();
    this.#element = element;
    this.#choice = choice;
    this.#tail = element.querySelector(".tail");
    element.addEventListener("click", (event) => {
      const { column } = event.target.closest("[data-column]")?.dataset ?? {};
      if (column) this.#sort(column, event.target.closest("[role=columnheader]").getAttribute("aria-sort"));
    });
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("focusin", (event) => this.#focused(event.target));
  }

  /** Show the columns of a layout, and by which one the list is sorted. */
  show({ shown, hidden }, sort) {
    const focused = this.#element.contains(document.activeElement) ? document.activeElement.dataset.column : undefined;
    const symbol = { id: "symbol", title: "Symbol", kind: "text" };
    const heads = [symbol, ...shown].map((column) => this.#head(column, sort?.id === column.id ? sort : null));
    this.#element.replaceChildren(...heads, this.#tail);
    this.#element.parentElement.setAttribute("aria-colcount", String(shown.length + 2));
    const names = hidden.map(({ title }) => title).join(", ");
    const button = this.#tail.querySelector("button");
    button.querySelector(".more").textContent = hidden.length > 0 ? `+${hidden.length}` : "";
    button.title = hidden.length > 0 ? `Columns; there is no room for: ${names}` : "Columns";
    if (!heads.some((head) => head.firstChild.dataset?.column === this.#current)) this.#current = "symbol";
    for (const each of this.#buttons) each.tabIndex = each.dataset.column === this.#current ? 0 : -1;
    if (focused) this.#buttons.find((each) => each.dataset.column === focused)?.focus();
  }

  #head({ id, title, kind }, sort) {
    const head = document.createElement("span");
    head.setAttribute("role", "columnheader");
    head.className = id;
    if (kind === "spark") {
      head.textContent = title;
      return head;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.column = id;
    button.textContent = title;
    button.title = kind === "change" ? `${title} since the previous close, or else the opening price; each row says which` : `Sort by ${title}`;
    head.setAttribute("aria-sort", sort === null ? "none" : sort.descending ? "descending" : "ascending");
    head.append(button);
    return head;
  }

  get #buttons() {
    return [...this.#element.querySelectorAll("[data-column]")];
  }

  #sort(id, present) {
    const next = (columnOf(id).kind === "text" ? TURNS.text : TURNS.number)[present];
    this.dispatchEvent(Object.assign(new Event("sort"), { sort: next && { id, descending: next === "descending" } }));
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const { column } = event.target.dataset;
    if (step === undefined || column === undefined || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (event.altKey) this.#choice.move(column, step);
    else {
      const buttons = this.#buttons;
      buttons[buttons.indexOf(event.target) + step]?.focus();
    }
  }

  #focused({ dataset: { column } }) {
    if (column === undefined) return;
    this.#current = column;
    for (const each of this.#buttons) each.tabIndex = each.dataset.column === column ? 0 : -1;
  }
}
