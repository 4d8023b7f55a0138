// The dialog that chooses the columns, their order, the density, and what the list is sorted by.

import { COLUMNS, columnOf } from "./columns.js";

export class ColumnDialog {
  #page;
  #choice;
  #lists;

  constructor(page, choice, lists) {
    this.#page = page;
    this.#choice = choice;
    this.#lists = lists;
    page.columnList.addEventListener("change", ({ target }) => choice.toggle(target.value, target.checked));
    page.columnList.addEventListener("click", (event) => this.#moved(event.target.closest("[data-by]")));
    page.columnsReset.addEventListener("click", () => choice.reset());
    page.density.addEventListener("change", ({ target }) => choice.useDensity(target.value));
    for (const select of [page.sortColumn, page.sortOrder]) select.addEventListener("change", () => this.#sort());
    choice.addEventListener("change", () => page.columns.open && this.#show());
  }

  open() {
    this.#show();
    this.#page.columns.showModal();
  }

  #show() {
    const { columnList, density, sortColumn, sortOrder } = this.#page;
    const focused = columnList.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    const { ids } = this.#choice;
    const others = COLUMNS.filter(({ id }) => !ids.includes(id)).map(({ id }) => id);
    columnList.replaceChildren(...[...ids, ...others].map((id) => this.#entry(id, ids.indexOf(id), ids.length)));
    columnList.querySelector(`[data-key="${focused}"]`)?.focus();
    density.querySelector(`[value=${this.#choice.density}]`).checked = true;
    const sortable = [{ id: "", title: "own order" }, columnOf("symbol"), ...COLUMNS.filter(({ kind }) => kind !== "spark")];
    sortColumn.replaceChildren(...sortable.map(({ id, title }) => new Option(title, id)));
    sortColumn.value = this.#lists.sort?.id ?? "";
    sortOrder.value = this.#lists.sort?.descending ? "descending" : "ascending";
    sortOrder.disabled = sortColumn.value === "";
  }

  #entry(id, at, count) {
    const entry = document.createElement("li");
    const [label, box] = [document.createElement("label"), document.createElement("input")];
    const { title } = columnOf(id);
    Object.assign(box, { type: "checkbox", value: id, checked: at >= 0 });
    box.dataset.key = id;
    label.append(box, title);
    entry.append(label);
    if (at >= 0) entry.append(moveButton(id, title, -1, at === 0), moveButton(id, title, 1, at === count - 1));
    return entry;
  }

  #moved(button) {
    if (button === null) return;
    const { id, by } = button.dataset;
    this.#choice.move(id, Number(by));
  }

  #sort() {
    const { sortColumn, sortOrder } = this.#page;
    const id = sortColumn.value;
    sortOrder.disabled = id === "";
    this.#lists.sortBy(id === "" ? null : { id, descending: sortOrder.value === "descending" });
  }
}

function moveButton(id, title, by, disabled) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", textContent: by < 0 ? "↑" : "↓", disabled });
  Object.assign(button.dataset, { id, by, key: `${id} ${by}` });
  button.setAttribute("aria-label", `${title} ${by < 0 ? "earlier" : "later"}`);
  return button;
}
