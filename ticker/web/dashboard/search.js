// Finding and adding symbols: a text field with a list of matches (the combobox pattern of WAI-ARIA).

import { containing, isPattern, namesIn } from "./patterns.js";

const MOST_SHOWN = 50;
const PAUSE_MS = 120;

export class Search extends EventTarget {
  #options = [];
  #active = -1;
  #asked = 0;
  #timer;

  /** `find(pattern)` gives a promise of instruments; `has(name)` says whether a name is on the list. */
  constructor(input, box, find, has) {
    super();
    this.input = input;
    this.box = box;
    this.find = find;
    this.has = has;
    input.addEventListener("input", () => this.#typed());
    input.addEventListener("focus", () => this.#ask());
    input.addEventListener("blur", () => this.close());
    input.addEventListener("keydown", (event) => this.#key(event));
    box.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
    box.addEventListener("click", (event) => {
      const at = [...box.children].indexOf(event.target.closest("[role=option]"));
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

  async #ask() {
    const names = namesIn(this.input.value);
    const text = names.at(-1) ?? "";
    const number = (this.#asked += 1);
    let found;
    try {
      found = await this.find(isPattern(text) ? text : containing(text));
    } catch (error) {
      if (number === this.#asked) this.#show([], `The search failed: ${error.message}`);
      return;
    }
    if (number !== this.#asked || document.activeElement !== this.input) return;
    // Symbols that begin with the text come first.
    const begins = (each) => Number(!each.symbol.toLowerCase().startsWith(text.toLowerCase()));
    if (!isPattern(text)) found.sort((one, other) => begins(one) - begins(other));
    const options = found.slice(0, MOST_SHOWN).map(({ symbol, metadata }) => ({ name: symbol, note: metadata.name ?? "" }));
    const many = found.length > MOST_SHOWN ? `${found.length} or more` : String(found.length);
    if (isPattern(text) && found.length > 0) options.unshift({ name: text, note: `pattern: all that match, ${many} now` });
    this.#show(options, "No instrument of this service matches. Enter adds it anyway: it joins when it appears.");
  }

  #show(options, otherwise) {
    this.#options = options;
    this.box.replaceChildren(...options.map((option, index) => this.#entry(option, index)));
    if (options.length === 0) {
      const empty = document.createElement("li");
      empty.className = "none";
      empty.textContent = otherwise;
      this.box.append(empty);
    }
    this.box.hidden = false;
    this.box.scrollTop = 0;
    this.input.setAttribute("aria-expanded", "true");
    this.#highlight(-1);
  }

  #entry({ name, note }, index) {
    const entry = document.createElement("li");
    entry.id = `found-${index}`;
    entry.setAttribute("role", "option");
    entry.setAttribute("aria-selected", "false");
    const [symbol, text] = [document.createElement("b"), document.createElement("span")];
    symbol.textContent = name;
    text.textContent = note;
    entry.append(symbol, text);
    if (this.has(name)) entry.append(this.#mark());
    return entry;
  }

  #mark() {
    const mark = document.createElement("em");
    mark.textContent = "✓ on the list";
    return mark;
  }

  #key(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const count = this.#options.length;
      if (this.box.hidden) this.#ask();
      else if (count > 0) this.#highlight((this.#active + (event.key === "ArrowDown" ? 1 : count) + (this.#active < 0 && event.key === "ArrowUp" ? 1 : 0)) % count);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (this.#active >= 0) this.#take(this.#options[this.#active]);
      else this.#enter();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (this.input.value && !this.box.hidden) {
        this.input.value = "";
        this.close();
      } else this.#leave();
    }
  }

  /** Add the typed names, each in the case in which the service has it. */
  #enter() {
    const typed = namesIn(this.input.value);
    if (typed.length === 0) return this.#leave();
    const known = (name) => this.#options.find((option) => option.name.toLowerCase() === name.toLowerCase())?.name;
    this.#add(typed.map((name) => (isPattern(name) ? name : (known(name) ?? name))));
  }

  #take(option) {
    const earlier = namesIn(this.input.value).slice(0, -1);
    this.#add([...earlier, option.name]);
  }

  #add(names) {
    this.input.value = "";
    this.close();
    this.dispatchEvent(Object.assign(new Event("add"), { names }));
  }

  #leave() {
    this.close();
    this.dispatchEvent(new Event("leave"));
  }

  #highlight(index) {
    this.box.children[this.#active]?.setAttribute("aria-selected", "false");
    this.#active = index;
    const entry = index >= 0 ? this.box.children[index] : undefined;
    entry?.setAttribute("aria-selected", "true");
    entry?.scrollIntoView({ block: "nearest" });
    if (entry) this.input.setAttribute("aria-activedescendant", entry.id);
    else this.input.removeAttribute("aria-activedescendant");
  }
}
