// The dashboard put together: the list, the connection, the rows, the chart and the keys.

import { Detail } from "./detail.js";
import { ConnectionPanel } from "./connection.js";
import { makeDraggable } from "./drag.js";
import { isPattern } from "./patterns.js";
import { Palette } from "./palette.js";
import { Quotes } from "./quotes.js";
import { Search } from "./search.js";
import { Sparks } from "./sparks.js";
import { Table } from "./table.js";
import { matcher } from "../ticker.js";
import { Watchlist } from "./watchlist.js";

const FIRST_SYMBOLS = 12;
const MAX_SPLIT_MATCHES = 200;
const TOAST_MS = 6000;
const UNKNOWN = 6; // the outcome of a name that no instrument has yet (PROTOCOL.md, section 7)
const wide = matchMedia("(min-width: 1000px)");

// Elements by id, in camel case.
const page = {};
for (const element of document.querySelectorAll("[id]")) {
  page[element.id.replace(/-(.)/g, (_, letter) => letter.toUpperCase())] = element;
}

const list = new Watchlist();
const quotes = new Quotes();
const palette = new Palette();
const connection = new ConnectionPanel(page);
const facts = {
  name: (symbol) => connection.client.instrument(symbol)?.metadata.name ?? "",
  description(symbol) {
    const { name, venue, currency } = connection.client.instrument(symbol)?.metadata ?? {};
    return [name, venue, currency].filter(Boolean).join(" · ");
  },
};
const sparks = new Sparks(() => connection.client, () => table.redraw());
const table = new Table(page.rows, page.row, quotes, facts, palette, sparks);
const detail = new Detail(page, connection, palette, facts, requestFrame);
const search = new Search(
  page.search,
  page.found,
  async (match) => (await connection.client.search(match)).instruments,
  (name) => list.names.includes(name) || quotes.get(name)?.known === true,
);

// Painting: one frame for all that changed since the last.

let requested = false;
let closed = false; // the user closed the chart, so it does not open by itself

function requestFrame() {
  if (requested) return;
  requested = true;
  requestAnimationFrame((now) => {
    requested = false;
    const more = table.paint(now);
    detail.paint(now);
    if (more) requestFrame();
  });
}

setInterval(requestFrame, 1000); // the charts move with time
table.addEventListener("stale", requestFrame);

// The list.

function listChanged() {
  quotes.retain(matcher(...list.names));
  connection.subscribe(list.names);
  arrange();
}

function arrange() {
  table.arrange(list.names);
  page.empty.hidden = list.names.length > 0 || (!list.chosen && connection.client.state !== "connected");
  const { quote } = detail;
  if (quote !== null && table.rowFor(quote.symbol) === null) show(null);
  if (detail.quote === null && wide.matches && !closed) show(table.order.find((row) => row.symbol !== null)?.symbol ?? null);
  table.choose(detail.quote?.symbol);
  requestFrame();
}

function add(names) {
  const added = list.add(names);
  const row = table.order.find((each) => each.name === (added[0] ?? names[0]));
  if (row) table.focus(row);
  announce(added.length > 0 ? `${added.join(", ")} added` : `${names.join(", ")} is on the list already`);
}

function remove(row) {
  if (row === null) return;
  const { name, symbol } = row;
  if (symbol === null || symbol === name) list.replace(name);
  else {
    // Without this match, the pattern is replaced with its other matches.
    const others = table.order.filter((each) => each.name === name && each.symbol !== null && each.symbol !== symbol);
    if (others.length > MAX_SPLIT_MATCHES) {
      toast(`${symbol} came with the pattern ${name}, which matches too many to be taken apart.`, false);
      return;
    }
    list.replace(name, ...others.map((each) => each.symbol));
  }
  toast(`${symbol ?? name} removed`, true);
}

function move(row, by) {
  if (row === null || !list.move(row.name, by)) return;
  row.element.scrollIntoView({ block: "nearest" });
  announcePosition(row.name);
}

function announcePosition(name) {
  announce(`${name}: place ${list.names.indexOf(name) + 1} of ${list.names.length}`);
}

list.addEventListener("change", listChanged);
makeDraggable(page.rows, table, (name, target) => list.moveTo(name, list.names.indexOf(target)), announcePosition);

/** For a first visit, propose the first symbols of the service. */
async function proposeList() {
  if (list.chosen || list.names.length > 0) return;
  try {
    const { instruments } = await connection.client.search("*");
    if (!list.chosen && list.names.length === 0) list.propose(instruments.slice(0, FIRST_SYMBOLS).map((each) => each.symbol));
  } catch {
    // the next connection tries it again
  }
}

// Events of the connection.

connection.addEventListener("change", (event) => {
  if (quotes.apply(event.change)) arrange();
  else requestFrame();
});

connection.addEventListener("refused", (event) => {
  if (isPattern(event.name)) {
    toast(`${event.name}: ${event.text}`, false);
    return;
  }
  const quote = quotes.of(event.name);
  if (quote.known && event.code === UNKNOWN) return;
  quote.problem = event.code === UNKNOWN ? "no such instrument yet" : event.text;
  quote.version += 1;
  requestFrame();
});

connection.addEventListener("state", (event) => {
  if (event.state === "connected") {
    proposeList();
    sparks.refresh();
  } else if (event.state !== "connecting") quotes.pause();
  requestFrame();
});

// The chart.

function show(symbol) {
  detail.show(symbol === null ? null : quotes.of(symbol));
  table.choose(symbol);
  document.body.classList.toggle("charted", symbol !== null);
  requestFrame();
}

function closeChart() {
  closed = true;
  show(null);
  if (table.current) table.focus(table.current);
}

function open(row) {
  if (!row?.symbol) return;
  closed = false;
  show(row.symbol);
}

page.rows.addEventListener("click", (event) => {
  const row = table.rowOf(event.target);
  if (event.target.closest(".remove")) remove(row);
  else if (!event.target.closest(".grip")) open(row);
});
page.detailClose.addEventListener("click", closeChart);
page.remove.addEventListener("click", () => remove(table.rowFor(detail.quote.symbol)));
page.moveUp.addEventListener("click", () => move(table.rowFor(detail.quote.symbol), -1));
page.moveDown.addEventListener("click", () => move(table.rowFor(detail.quote.symbol), 1));

// The keys.

const pageful = () => Math.max(1, Math.floor(page.scroller.clientHeight / (table.current?.element.offsetHeight || 44)) - 1);
const rowKeys = {
  ArrowDown: () => table.step(1),
  ArrowUp: () => table.step(-1),
  PageDown: () => table.step(pageful()),
  PageUp: () => table.step(-pageful()),
  Home: () => table.step(-Infinity),
  End: () => table.step(Infinity),
  Enter: () => open(table.current),
  Delete: () => remove(table.current),
};
const moveKeys = { ArrowDown: () => move(table.current, 1), ArrowUp: () => move(table.current, -1) };

page.rows.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest("button")) return;
  const act = (event.altKey ? moveKeys : rowKeys)[event.key];
  if (act === undefined) return;
  event.preventDefault();
  act();
});

document.addEventListener("keydown", (event) => {
  const writing = event.target.closest?.("input:not([type=radio]), textarea");
  if (event.defaultPrevented || writing || page.keys.open) return;
  if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
  else if (event.ctrlKey || event.metaKey || event.altKey) return;
  else if (event.key === "/") page.search.focus();
  else if (event.key === "?") page.keys.showModal();
  else if (event.key === "Escape" && detail.quote !== null) closeChart();
  else if (["ArrowDown", "ArrowUp"].includes(event.key) && event.target === document.body) table.focus(table.current);
  else return;
  event.preventDefault();
});

search.addEventListener("add", (event) => add(event.names));
search.addEventListener("leave", () => (table.current ? table.focus(table.current) : page.search.blur()));
page.help.addEventListener("click", () => page.keys.showModal());

// Messages to the user.

let toastTimer;

function toast(text, undoable) {
  announce(text);
  page.toastText.textContent = text;
  page.undo.hidden = !undoable;
  page.toast.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (page.toast.hidden = true), TOAST_MS);
}

function announce(text) {
  page.announcer.textContent = text;
}

function undo() {
  page.toast.hidden = true;
  if (list.undo()) announce("Undone");
}

page.undo.addEventListener("click", undo);
page.share.addEventListener("click", async () => {
  const address = list.link();
  try {
    await navigator.clipboard.writeText(address);
    toast("A link to this list is in the clipboard.", false);
  } catch {
    toast(address, false);
  }
});

connection.open();
listChanged();
proposeList();
