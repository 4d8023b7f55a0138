// The user's lists: several, with names, kept between visits; beside them the one of a link, until it is kept or closed.

import { fragmentOf, listIn, validNames } from "./address.js";
import { columnOf } from "./columns.js";
import { load, save, watch } from "./storage.js";

const KEY = "ticker.lists";
const UNDO_KEY = "ticker.undo";
const OLD_KEY = "ticker.list"; // one list without a name
const VERSION = 1;
const MOST_LISTS = 50;
const MOST_UNDOS = 50;
const MOST_UNDO_CHARACTERS = 400_000;
const LONGEST_TITLE = 60;
const FIRST = "Watchlist";
const SHARED = "shared";

const isSort = (sort) => sort === null || (columnOf(sort?.id) !== undefined && typeof sort.descending === "boolean");
const isNames = (names) => Array.isArray(names) && names.every((name) => typeof name === "string");
const isList = (list) => typeof list?.id === "string" && typeof list.title === "string" && isNames(list.names) && isSort(list.sort);
const isState = (state) => Array.isArray(state?.own) && state.own.length > 0 && state.own.every(isList) && typeof state.active === "string";
const isHistory = (past) => Array.isArray(past) && past.every((step) => isState(step) && (step.shared === null || isList(step.shared)));

const titleOf = (text) => text.trim().replace(/\s+/g, " ").slice(0, LONGEST_TITLE);

export class Lists extends EventTarget {
  #own;
  #active;
  #shared = null;
  #past = load(UNDO_KEY, VERSION, isHistory) ?? [];
  #merging = "";

  constructor() {
    super();
    const kept = load(KEY, VERSION, isState) ?? migrated();
    this.chosen = kept !== null; // the user's own list: from the address, an earlier visit, or made here
    this.#own = kept?.own ?? [{ id: "1", title: FIRST, names: [], sort: null }];
    this.#active = kept?.active ?? this.#own[0].id;
    this.#repair();
    this.#open();
    addEventListener("hashchange", () => {
      const given = listIn(location.hash);
      if (given === null || given.names.join() === this.names.join()) return;
      this.#openShared(given);
      this.#publish();
    });
    watch(KEY, () => this.#changedElsewhere());
  }

  /** All lists: `{id, title, names, sort, shared}`. */
  get all() {
    const own = this.#own.map((list) => ({ ...list, shared: false }));
    return this.#shared ? [...own, { ...this.#shared, shared: true }] : own;
  }

  get current() {
    return this.all.find(({ id }) => id === this.#active);
  }

  get names() {
    return this.#list.names;
  }

  get sort() {
    return this.#list.sort;
  }

  add(names) {
    const fresh = validNames(names).filter((name) => !this.names.includes(name));
    if (fresh.length > 0) this.#change({ names: [...this.names, ...fresh] });
    return fresh;
  }

  /** Remove a name, or replace it with others. */
  replace(name, ...others) {
    const fresh = others.filter((other) => !this.names.includes(other));
    this.#change({ names: this.names.flatMap((each) => (each === name ? fresh : [each])) });
  }

  /** Move a name by a number of places; false if it is at the end already. */
  move(name, by) {
    return this.moveTo(name, this.names.indexOf(name) + by);
  }

  /** Moves of one `gesture` are undone together. */
  moveTo(name, index, gesture = "") {
    const from = this.names.indexOf(name);
    if (from < 0 || index < 0 || index >= this.names.length || index === from) return false;
    this.#change({ names: this.names.toSpliced(from, 1).toSpliced(index, 0, name) }, gesture);
    return true;
  }

  sortBy(sort) {
    this.#list.sort = sort;
    this.#keep();
    if (this.chosen) this.#toAddress();
    this.dispatchEvent(new Event("sort"));
  }

  select(id) {
    if (id === this.#active || !this.all.some((list) => list.id === id)) return;
    this.#active = id;
    this.#publish();
  }

  /** Make a list and show it; false if there are too many. */
  create(title, names = [], sort = null) {
    if (this.#own.length >= MOST_LISTS) return false;
    this.#remember();
    const id = String(Math.max(0, ...this.#own.map((list) => Number(list.id) || 0)) + 1);
    this.#own = [...this.#own, { id, title: this.#freeTitle(titleOf(title) || "List"), names, sort }];
    this.#active = id;
    this.#publish();
    return true;
  }

  duplicate() {
    const { title, names, sort } = this.#list;
    return this.create(title, names, sort);
  }

  rename(title) {
    const wanted = titleOf(title);
    if (wanted && wanted !== this.#list.title) this.#change({ title: this.#freeTitle(wanted, this.#active) });
  }

  /** Delete the list; the one of a link is closed. The last own list is emptied. */
  remove() {
    this.#remember();
    const gone = this.#active;
    const at = this.#own.findIndex(({ id }) => id === gone);
    if (gone === SHARED) this.#shared = null;
    else this.#own = this.#own.filter(({ id }) => id !== gone);
    if (this.#own.length === 0) this.#own = [{ id: "1", title: FIRST, names: [], sort: null }];
    this.#active = this.#own[Math.min(Math.max(at, 0), this.#own.length - 1)].id;
    this.#publish();
  }

  /** Make the list of a link one of the user's own. */
  keepShared() {
    const { title, names, sort } = this.#shared;
    if (!this.create(title, names, sort)) return false;
    this.#shared = null;
    this.#publish();
    return true;
  }

  undo() {
    const step = this.#past.pop();
    if (step === undefined) return false;
    [this.#own, this.#active, this.#shared] = [step.own, step.active, step.shared];
    this.#repair();
    this.#keepPast();
    this.#publish();
    return true;
  }

  /** An address of this page that shows this list. */
  link() {
    return `${location.origin}${location.pathname}${this.#fragment}`;
  }

  /** A list for a first visit, which is not kept. */
  propose(names) {
    this.#list.names = names;
    this.dispatchEvent(new Event("change"));
  }

  get #list() {
    return this.#active === SHARED && this.#shared ? this.#shared : this.#own.find(({ id }) => id === this.#active);
  }

  get #fragment() {
    const { names, title } = this.#list;
    return fragmentOf(names, [FIRST, "Shared list"].includes(title) ? "" : title);
  }

  #change(more, gesture = "") {
    if (!gesture || gesture !== this.#merging) this.#remember();
    this.#merging = gesture;
    const changed = { ...this.#list, ...more };
    if (this.#active === SHARED) this.#shared = changed;
    else this.#own = this.#own.map((list) => (list.id === this.#active ? changed : list));
    this.#publish();
  }

  #publish() {
    this.chosen = true;
    this.#keep();
    this.#toAddress();
    this.dispatchEvent(new Event("change"));
  }

  /** The address has the list that is shown, and what a reload needs to show it again. */
  #toAddress() {
    history.replaceState({ list: this.#active, shared: this.#shared }, "", this.#fragment);
  }

  #keep() {
    save(KEY, VERSION, { own: this.#own, active: this.#active }); // without storage, the address alone keeps it
  }

  #remember() {
    this.#merging = "";
    this.#past.push(structuredClone({ own: this.#own, active: this.#active, shared: this.#shared }));
    this.#keepPast();
  }

  #keepPast() {
    while (this.#past.length > MOST_UNDOS || JSON.stringify(this.#past).length > MOST_UNDO_CHARACTERS) this.#past.shift();
    save(UNDO_KEY, VERSION, this.#past);
  }

  /** What the address says: after a reload the list that was shown, else a list of its own beside the user's. */
  #open() {
    const { list, shared } = history.state ?? {};
    if (isList(shared)) this.#shared = shared;
    if (typeof list === "string" && this.all.some(({ id }) => id === list)) this.#active = list;
    const given = listIn(location.hash);
    if (given === null || given.names.join() === this.names.join()) return;
    this.#openShared(given);
    this.chosen = true;
    this.#toAddress();
  }

  #openShared({ names, title }) {
    const same = this.#own.find((list) => list.names.join() === names.join());
    if (same === undefined) this.#shared = { id: SHARED, title: title || "Shared list", names, sort: null };
    this.#active = same?.id ?? SHARED;
  }

  #changedElsewhere() {
    const kept = load(KEY, VERSION, isState);
    if (kept === null) return;
    const before = JSON.stringify(this.#list);
    this.#own = kept.own;
    this.#repair();
    if (JSON.stringify(this.#list) !== before) this.#toAddress();
    this.dispatchEvent(new Event("change"));
  }

  #repair() {
    if (!this.all.some(({ id }) => id === this.#active)) this.#active = this.#own[0].id;
  }

  #freeTitle(wanted, except = "") {
    const taken = new Set(this.#own.filter(({ id }) => id !== except).map(({ title }) => title));
    let title = wanted;
    for (let number = 2; taken.has(title); number += 1) title = `${wanted.slice(0, LONGEST_TITLE - 4)} ${number}`;
    return title;
  }
}

/** The list of an earlier version of this page. */
function migrated() {
  try {
    const names = JSON.parse(localStorage.getItem(OLD_KEY));
    return isNames(names) ? { own: [{ id: "1", title: FIRST, names, sort: null }], active: "1" } : null;
  } catch {
    return null;
  }
}
