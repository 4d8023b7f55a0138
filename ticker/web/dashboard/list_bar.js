// The bar above the list: a tab for each list, and the menu of what can be done with the one shown.

export class ListBar extends EventTarget {
  #page;
  #lists;
  #asked = null;

  /** `commands` has a function for each `data-command` of the menu. */
  constructor(page, lists, commands) {
    super();
    this.#page = page;
    this.#lists = lists;
    const { tabs, listMenu, listMenuOpen, listNew, naming } = page;
    tabs.addEventListener("click", (event) => this.#select(event.target.closest("[role=tab]")));
    tabs.addEventListener("keydown", (event) => this.#key(event));
    tabs.addEventListener("dblclick", () => this.askRename());
    listNew.addEventListener("click", () => this.askNew());
    listMenu.addEventListener("beforetoggle", (event) => event.newState === "open" && below(listMenu, listMenuOpen));
    page.board.addEventListener("click", (event) => {
      const { command } = event.target.closest("[data-command]")?.dataset ?? {};
      if (command === undefined) return;
      listMenu.hidePopover();
      commands[command]();
    });
    naming.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      naming.close();
      if (event.submitter?.value !== "cancel") this.#asked(page.namingTitle.value);
    });
    lists.addEventListener("change", () => this.show());
    this.show();
  }

  /** Show the lists that there are. */
  show() {
    const { tabs, sharedBar } = this.#page;
    const { current } = this.#lists;
    const focused = tabs.contains(document.activeElement);
    tabs.replaceChildren(...this.#lists.all.map((list) => this.#tab(list, list.id === current.id)));
    sharedBar.hidden = !current.shared;
    const selected = tabs.querySelector("[aria-selected=true]");
    if (focused) selected.focus();
    // Only sideways: scrollIntoView would move the page as well.
    const [left, right] = [selected.offsetLeft - tabs.offsetLeft, selected.offsetLeft - tabs.offsetLeft + selected.offsetWidth];
    if (left < tabs.scrollLeft) tabs.scrollLeft = left;
    else if (right > tabs.scrollLeft + tabs.clientWidth) tabs.scrollLeft = right - tabs.clientWidth;
  }

  askNew() {
    this.#ask("New list", "", (title) => this.#lists.create(title) || this.#tooMany());
  }

  askRename() {
    this.#ask("Rename the list", this.#lists.current.title, (title) => this.#lists.rename(title));
  }

  #tooMany() {
    this.dispatchEvent(new Event("full"));
  }

  #ask(head, title, answered) {
    const { naming, namingHead, namingTitle } = this.#page;
    this.#asked = answered;
    namingHead.textContent = head;
    namingTitle.value = title;
    naming.showModal();
    namingTitle.select();
  }

  #tab({ id, title, names, shared }, selected) {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.dataset.list = id;
    tab.classList.toggle("shared", shared);
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-selected", String(selected));
    tab.setAttribute("aria-controls", "scroller");
    tab.tabIndex = selected ? 0 : -1;
    tab.textContent = title;
    tab.title = `${title}: ${names.length} ${names.length === 1 ? "name" : "names"}${shared ? ", from a link" : ""}`;
    return tab;
  }

  #select(tab) {
    if (tab) this.#lists.select(tab.dataset.list);
  }

  #key(event) {
    const tabs = [...this.#page.tabs.children];
    const at = tabs.indexOf(event.target);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (event.key === "F2") this.askRename();
    else if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    else this.#select(tabs.at(to % tabs.length));
    event.preventDefault();
  }
}

/** Place a popover below its button, within the window. */
export function below(popover, button) {
  const { bottom, right } = button.getBoundingClientRect();
  popover.style.top = `${bottom + 4}px`;
  popover.style.right = `${Math.max(8, document.documentElement.clientWidth - right)}px`;
}
