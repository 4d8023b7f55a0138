// What users do with the list: add, remove, move, undo, share, copy, download.

import { symbolsAmong } from "./address.js";
import { csv, download, tabbed } from "./exported.js";

const MOST_SPLIT_MATCHES = 200;

export class ListActions {
  /** `choice` has the columns of what is copied, `facts` names and metadata. */
  constructor(lists, table, choice, facts, messages) {
    this.lists = lists;
    this.table = table;
    this.choice = choice;
    this.facts = facts;
    this.messages = messages;
  }

  add(names) {
    const { lists, table, messages } = this;
    const added = lists.add(names);
    const wanted = added[0] ?? names[0];
    const line = table.lines.find(({ name }) => name === wanted) ?? table.lineFor(wanted);
    if (line) table.focus(line);
    messages.announce(added.length > 0 ? `${added.join(", ")} added` : `${names.join(", ")} is on the list already`);
  }

  remove(line) {
    if (line === null) return;
    const { lists, table, messages } = this;
    const { name, symbol } = line;
    if (symbol === null || symbol === name) lists.replace(name);
    else {
      // Without this match, the pattern is replaced with its other matches.
      const others = table.lines.filter((each) => each.name === name && each.symbol !== null && each.symbol !== symbol);
      if (others.length > MOST_SPLIT_MATCHES) {
        messages.toast(`${symbol} came with the pattern ${name}, which matches too many to be taken apart.`);
        return;
      }
      lists.replace(name, ...others.map((each) => each.symbol));
    }
    messages.toast(`${symbol ?? name} removed`, { undoable: true });
  }

  move(line, by) {
    if (line === null) return;
    if (this.table.sort !== null) {
      this.messages.toast("The list is sorted by a column. It can be moved in once it has its own order: click the column's head.");
      return;
    }
    if (!this.lists.move(line.name, by)) return;
    this.table.reveal(line);
    this.announcePlace(line.name);
  }

  moveOver(name, target, gesture) {
    if (this.table.sort === null) this.lists.moveTo(name, this.lists.names.indexOf(target), gesture);
  }

  announcePlace(name) {
    const { names } = this.lists;
    if (this.table.sort === null) this.messages.announce(`${name}: place ${names.indexOf(name) + 1} of ${names.length}`);
    else this.move({ name }, 0);
  }

  undo() {
    this.messages.hide();
    if (this.lists.undo()) this.messages.announce("Undone");
  }

  duplicate() {
    if (!this.lists.duplicate()) this.full();
  }

  keep() {
    if (!this.lists.keepShared()) this.full();
  }

  delete() {
    const { title, shared } = this.lists.current;
    this.lists.remove();
    this.messages.toast(shared ? `${title} closed` : `${title} deleted`, { undoable: true });
  }

  full() {
    this.messages.toast("There are as many lists as this page keeps; delete one first.");
  }

  share() {
    const address = this.lists.link();
    return this.#copy(address, "A link to this list is in the clipboard.", address);
  }

  copySymbols() {
    const { names } = this.lists;
    const some = symbolsAmong(names).length === names.length ? "symbols" : "names";
    return this.#copy(names.join(" "), `${names.length} ${some} are in the clipboard.`, names.join(" "));
  }

  copyTable() {
    const text = tabbed(this.table.lines, this.choice.ids, this.facts);
    return this.#copy(text, "The table is in the clipboard; a spreadsheet pastes it as cells.", "This browser lets no page write to the clipboard.");
  }

  download() {
    const title = this.lists.current.title.replace(/[^\p{L}\p{N} _-]+/gu, "").trim() || "list";
    const time = new Date().toISOString().slice(0, 19).replace("T", " ").replaceAll(":", "");
    download(`${title} ${time}.csv`, "text/csv;charset=utf-8", csv(this.table.lines, this.choice.ids, this.facts));
  }

  async #copy(text, done, otherwise) {
    try {
      await navigator.clipboard.writeText(text);
      this.messages.toast(done);
    } catch {
      this.messages.toast(otherwise);
    }
  }
}
