// Finding and adding symbols: a text field with a list of hits (the combobox pattern of WAI-ARIA). Enter takes the best one.

import { isPattern, namesIn } from "./patterns.js";

const MOST_SHOWN = 50;
const MOST_CATEGORIES = 6;
const FIRST_HITS = 8; // before the categories
const MOST_ADDED = 200; // of a category at once
const PAUSE_MS = 60;

const isFilter = (token) => /^(venue|currency):./i.test(token);

export class Search extends EventTarget {
  #options = [];
  #active = -1;
  #asked = 0;
  #timer;
  #text = ""; // that the options are for

  /** `directory` has the instruments; `has(name)` says whether a name is on the list. */
  constructor({ search, found, foundBox, foundNote }, directory, has) {
    super();
    this.input = search;
    this.list = found;
    this.box = foundBox;
    this.note = foundNote;
    this.directory = directory;
    this.has = has;
    search.addEventListener("input", () => this.#typed());
    search.addEventListener("focus", () => this.#ask());
    search.addEventListener("blur", () => this.close());
    search.addEventListener("keydown", (event) => this.#key(event));
    directory.addEventListener("read", () => this.#active <= 0 && !foundBox.hidden && this.#ask());
    foundBox.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
    found.addEventListener("click", (event) => {
      const at = [...found.children].indexOf(event.target.closest("[role=option]"));
      if (at >= 0) this.#take(this.#options[at]);
    });
  }

  close() {
    this.#asked += 1;
    clearTimeout(this.#timer);
    this.box.hidden = true;
    this.#highlight(-1);
    this.input.setAttribute("aria-expanded", "false");
  }

  #typed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), PAUSE_MS);
  }

  /** Show what the text finds. Returns whether it is still the newest question. */
  async #ask() {
    clearTimeout(this.#timer);
    const text = this.input.value;
    const number = (this.#asked += 1);
    let options = [];
    let note = "";
    try {
      await this.directory.load();
      options = await this.#optionsFor(text);
      if (options.length === 0) note = `No instrument of this service matches “${text.trim()}”, in its symbol or its name.`;
      else if (this.directory.large) note = "This service has many instruments: names of the first ones were searched, and all symbols.";
    } catch (error) {
      note = `The search failed: ${error.message}`;
    }
    if (number !== this.#asked || document.activeElement !== this.input) return false;
    this.#text = text;
    this.#show(options, note);
    return true;
  }

  async #optionsFor(text) {
    const tokens = namesIn(text);
    const last = tokens.at(-1) ?? "";
    if (isPattern(last)) return this.#patternOptions(tokens);
    const several = await this.#severalOption(text, tokens);
    const found = await this.directory.search(text);
    const hits = found.slice(0, MOST_SHOWN).map(({ symbol, name, venue, currency }) => (
      { names: [symbol], title: symbol, note: name, more: [venue, currency].filter(Boolean).join(" · ") }
    ));
    return [...several, ...this.#allOption(tokens, found), ...hits.toSpliced(text.trim() ? FIRST_HITS : 0, 0, ...this.#categoryOptions(tokens))];
  }

  async #patternOptions(tokens) {
    const { pattern, count, more } = await this.directory.patternOf(tokens.at(-1));
    const earlier = await this.#known(tokens.slice(0, -1));
    const many = more ? `${count} or more` : String(count);
    return [{ names: [...earlier, pattern], title: [...earlier, pattern].join(", "), note: `pattern: all that match, ${many} now`, more: "" }];
  }

  /** One option for all names of a text that lists several. */
  async #severalOption(text, tokens) {
    if (tokens.length < 2) return [];
    const known = await this.#known(tokens);
    if (known.length < 2 || (known.length < tokens.length && !/[,\n]/.test(text))) return [];
    const missing = tokens.length - known.length;
    const note = missing > 0 ? `${known.length} symbols; ${missing} that this service does not have are left out` : `${known.length} symbols`;
    return [{ names: known, title: known.length > 4 ? `${known.slice(0, 3).join(", ")}, …` : known.join(", "), note, more: "" }];
  }

  async #known(tokens) {
    const known = [];
    for (const token of tokens.slice(0, MOST_ADDED)) {
      const name = isPattern(token) ? token : await this.directory.symbolOf(token);
      if (name !== undefined && !known.includes(name)) known.push(name);
    }
    return known;
  }

  /** One option for all instruments of a category. */
  #allOption(tokens, found) {
    if (!tokens.some(isFilter) || found.length < 2 || found.length > MOST_ADDED) return [];
    return [{ names: found.map(({ symbol }) => symbol), title: `All ${found.length}`, note: "that match", more: "" }];
  }

  /** Categories to narrow the search by. */
  #categoryOptions(tokens) {
    if (tokens.length > 1 || tokens.some(isFilter)) return [];
    return this.directory.categories(tokens[0] ?? "").slice(0, MOST_CATEGORIES).map(({ category, value, count }) => (
      { narrow: `${category}:${value} `, title: `${category}: ${value}`, note: `${count} ${count === 1 ? "instrument" : "instruments"}`, more: "" }
    ));
  }

  #show(options, note) {
    this.#options = options;
    this.list.replaceChildren(...options.map((option, index) => this.#entry(option, index)));
    this.list.hidden = options.length === 0;
    this.note.textContent = note;
    this.note.hidden = note === "";
    this.box.hidden = false;
    this.list.scrollTop = 0;
    this.input.setAttribute("aria-expanded", String(options.length > 0));
    this.#highlight(this.input.value.trim() && options.length > 0 ? 0 : -1);
  }

  #entry({ names, title, note, more }, index) {
    const entry = document.createElement("li");
    entry.id = `found-${index}`;
    entry.setAttribute("role", "option");
    entry.setAttribute("aria-selected", "false");
    const [symbol, text, end] = ["b", "span", "em"].map((tag) => document.createElement(tag));
    symbol.textContent = title;
    text.textContent = note;
    end.textContent = names?.every(this.has) ? "✓ on the list" : more;
    entry.append(symbol, text, end);
    return entry;
  }

  #key(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (this.box.hidden) this.#ask();
      else this.#step(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.#enter();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (this.input.value && !this.box.hidden) {
        this.input.value = "";
        this.close();
      } else this.#leave();
    }
  }

  #step(by) {
    const count = this.#options.length;
    if (count === 0) return;
    const from = this.#active < 0 && by < 0 ? 0 : this.#active;
    this.#highlight((from + by + count) % count);
  }

  /** Take the chosen hit, which is the best one unless the arrows chose another; what was typed last counts. */
  async #enter() {
    if (this.input.value.trim() === "" && this.#active < 0) return this.#leave();
    const present = this.input.value === this.#text && !this.box.hidden;
    if (!present && !(await this.#ask())) return;
    if (this.#active >= 0) this.#take(this.#options[this.#active]);
  }

  #take({ names, narrow }) {
    if (narrow) {
      this.input.value = narrow;
      this.#ask();
      return;
    }
    this.input.value = "";
    this.close();
    this.dispatchEvent(Object.assign(new Event("add"), { names }));
  }

  #leave() {
    this.close();
    this.dispatchEvent(new Event("leave"));
  }

  #highlight(index) {
    this.list.children[this.#active]?.setAttribute("aria-selected", "false");
    this.#active = index;
    const entry = index >= 0 ? this.list.children[index] : undefined;
    entry?.setAttribute("aria-selected", "true");
    entry?.scrollIntoView({ block: "nearest" });
    if (entry) this.input.setAttribute("aria-activedescendant", entry.id);
    else this.input.removeAttribute("aria-activedescendant");
  }
}
