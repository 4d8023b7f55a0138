// The dashboard put together: the lists, the connection, the rows, the chart and the keys.

import { symbolsAmong } from "./address.js";
import { AlertPanel } from "./alert_panel.js";
import { Alerts } from "./alerts.js";
import { AlertWatch } from "./alert_watch.js";
import { Bell } from "./bell.js";
import { ColumnChoice } from "./columns.js";
import { ColumnDialog } from "./column_dialog.js";
import { ConnectionPanel } from "./connection.js";
import { Detail } from "./detail.js";
import { Directory } from "./directory.js";
import { makeDraggable } from "./drag.js";
import { firstInstruments } from "./first_answer.js";
import { Heads } from "./heads.js";
import { unlessAllowed } from "./http.js";
import { usePageKeys, useRowKeys } from "./keys.js";
import { ListActions } from "./list_actions.js";
import { ListBar } from "./list_bar.js";
import { Lists } from "./lists.js";
import { Messages } from "./messages.js";
import { isPattern } from "./patterns.js";
import { Palette } from "./palette.js";
import { Quotes } from "./quotes.js";
import { fitting, leftOutText, markLeftOut } from "./room.js";
import { Search } from "./search.js";
import { Sparks } from "./sparks.js";
import { Table } from "./table.js";
import { showInTitle } from "./title.js";
import { matcher } from "../ticker.js";

const FIRST_SYMBOLS = 12;
const SUMMARY_MS = 250;
const UNKNOWN = 6; // the outcome of a name that no instrument has yet (PROTOCOL.md, section 7)
const NOTHING = Object.freeze({});
const wide = matchMedia("(min-width: 1000px)");

// Elements by id, in camel case.
const page = {};
for (const element of document.querySelectorAll("[id]")) {
  page[element.id.replace(/-(.)/g, (_, letter) => letter.toUpperCase())] = element;
}

const lists = new Lists();
const quotes = new Quotes();
const palette = new Palette();
const choice = new ColumnChoice();
const connection = new ConnectionPanel(page);
const facts = {
  metadata: (symbol) => connection.client.instrument(symbol)?.metadata ?? NOTHING,
  name: (symbol) => facts.metadata(symbol).name ?? "",
  description(symbol) {
    const { name, venue, currency } = facts.metadata(symbol);
    return [name, venue, currency].filter(Boolean).join(" · ");
  },
};
const heads = new Heads(page.heads, choice);
const sparks = new Sparks(() => connection.client, () => table.redraw());
const parts = { body: page.rows, scroller: page.scroller, heads: page.heads, template: page.row };
const table = new Table(parts, quotes, facts, choice, palette, sparks);
const detail = new Detail(page, connection, palette, facts, requestFrame);
const messages = new Messages(page, () => actions.undo());
const actions = new ListActions(lists, table, choice, facts, messages);
const columnDialog = new ColumnDialog(page, choice, lists);
const directory = new Directory((match, options) => connection.client.search(match, options));
const search = new Search(page, directory, (name) => lists.names.includes(name) || table.lineFor(name) !== null);
const alerts = new Alerts();
const alertWatch = new AlertWatch(alerts);
const alertPanel = new AlertPanel(page, alerts, new Bell(), directory);
const bar = new ListBar(page, lists, {
  rename: () => bar.askRename(),
  duplicate: () => actions.duplicate(),
  delete: () => actions.delete(),
  keep: () => actions.keep(),
  symbols: () => actions.copySymbols(),
  copy: () => actions.copyTable(),
  download: () => actions.download(),
  columns: () => columnDialog.open(),
});
bar.addEventListener("full", () => actions.full());

// Painting: one frame for all that changed since the last.

let requested = false;
let closed = false; // the user closed the chart, so it does not open by itself

function requestFrame() {
  if (requested) return;
  requested = true;
  requestAnimationFrame((now) => {
    requested = false;
    const later = detail.paint(now); // first: to write on the chart, styles have to be current
    const more = table.paint(now);
    connection.painted();
    if (more || later) requestFrame();
  });
}

setInterval(requestFrame, 1000); // the charts move with time
setInterval(summarize, SUMMARY_MS);

/** The header's count of live prices, and the tab's title. */
function summarize() {
  let [live, total] = [0, 0];
  for (const { quote } of table.lines) {
    if (quote === null) continue;
    total += 1;
    if (quote.live) live += 1;
  }
  connection.count(live, total);
  showInTitle(detail.quote, connection.client.state === "connected");
}

table.addEventListener("stale", requestFrame);
table.addEventListener("layout", () => heads.show(table.layout, table.sort));

// The list.

function listChanged() {
  const { names } = lists;
  const { limits } = connection.client;
  const fit = fitting(names, limits);
  quotes.retain(matcher(...fit, ...symbolsAmong(names)));
  let error = connection.subscribe(fit);
  if (error !== null && detail.quote !== null) {
    show(null); // book, trades and bars make room for the list
    error = connection.subscribe(fit);
  }
  if (error !== null) messages.toast(error.message);
  detail.listChanged();
  markLeftOut(names, fit, quotes);
  page.leftOut.textContent = leftOutText(names, fit, limits);
  page.leftOut.hidden = fit.length === names.length;
  table.show(lists.names, lists.sort);
  heads.show(table.layout, table.sort);
}

function arranged() {
  page.empty.hidden = lists.names.length > 0 || (!lists.chosen && connection.client.state !== "connected");
  const { quote } = detail;
  if (quote !== null && table.lineFor(quote.symbol) === null) show(null);
  if (detail.quote === null && wide.matches && !closed) show(table.lines.find(({ symbol }) => symbol !== null)?.symbol ?? null);
  table.choose(detail.quote?.symbol);
  requestFrame();
}

lists.addEventListener("change", listChanged);
lists.addEventListener("sort", () => {
  table.sortBy(lists.sort);
  heads.show(table.layout, table.sort);
});
heads.addEventListener("sort", ({ sort }) => lists.sortBy(sort));
table.addEventListener("arranged", arranged);
makeDraggable(page.rows, page.scroller, table, (...moved) => actions.moveOver(...moved), (name) => actions.announcePlace(name));

/** For a first visit, propose the first symbols of the service. */
async function proposeList() {
  if (lists.chosen || lists.names.length > 0) return;
  try {
    const instruments = await firstInstruments(() => connection.client.search("*"));
    if (!lists.chosen && lists.names.length === 0) lists.propose(instruments.slice(0, FIRST_SYMBOLS).map((each) => each.symbol));
  } catch {
    // the next connection tries it again
  }
}

// Events of the connection.

connection.addEventListener("change", (event) => {
  const fresh = quotes.apply(event.change);
  if (fresh.length > 0) table.add(fresh);
  requestFrame();
});

connection.addEventListener("refused", (event) => {
  if (event.name.includes(" ")) return; // a table: its own place says so
  if (isPattern(event.name)) {
    messages.toast(`${event.name}: ${event.text}`);
    return;
  }
  const quote = quotes.of(event.name);
  if (quote.known && event.code === UNKNOWN) return;
  quote.problem = event.code === UNKNOWN ? `no such instrument yet${unlessAllowed("it")}` : event.text;
  quote.version += 1;
  requestFrame();
});

connection.addEventListener("full", ({ text }) => messages.toast(text));

connection.addEventListener("opened", () => alertWatch.restart());

connection.addEventListener("state", (event) => {
  if (event.state === "connected") {
    // Before anything is asked for on it: its limits may be others.
    if (connection.names.join() !== fitting(lists.names, connection.client.limits).join()) listChanged();
    proposeList();
    sparks.refresh();
    directory.expire();
  }
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

function open(line) {
  if (!line?.symbol) return;
  closed = false;
  show(line.symbol);
}

/** Show the chart of a line, and go into the panel where that lies over the rows. */
function enter(line) {
  open(line);
  if (line?.symbol && !wide.matches) page.detailClose.focus();
}

/** Show the chart of the next symbol, or of the one so many lines away. */
function openNext(by) {
  const lines = table.lines.filter(({ symbol }) => symbol !== null);
  const at = lines.indexOf(table.lineFor(detail.quote?.symbol ?? table.current?.symbol));
  const line = lines[Math.min(lines.length - 1, Math.max(0, at + by))];
  if (line === undefined) return;
  table.focus(line);
  open(line);
}

/** Have a screen reader say the present price of a line. */
function speak(line) {
  if (!line?.symbol) return;
  const { symbol, values, changeText, percentText, remarks } = line.quote;
  const parts = ["last", "bid", "ask"].filter((field) => values[field] !== undefined).map((field) => `${field} ${values[field]}`);
  messages.announce([symbol, ...remarks, ...parts, `change ${changeText} ${percentText}`].join(", "));
}

/** Open the alerts, with a new one for a symbol at its present price. */
function openAlerts(quote) {
  const price = quote === null ? undefined : (quote.values.last ?? quote.values.bid);
  alertPanel.open(quote?.symbol, price);
}

alertPanel.addEventListener("open", ({ symbol }) => {
  const line = table.lineFor(symbol);
  if (line === null) actions.add([symbol]);
  else table.focus(line);
  open(table.lineFor(symbol));
});
page.alertsOpen.addEventListener("click", () => openAlerts(null));
page.alertHere.addEventListener("click", () => openAlerts(detail.quote));

const chosenLine = () => table.lineFor(detail.quote.symbol);

page.rows.addEventListener("click", (event) => {
  const line = table.lineOf(event.target);
  if (event.target.closest(".remove")) actions.remove(line);
  else if (!event.target.closest(".grip")) open(line);
});
page.detailClose.addEventListener("click", closeChart);
page.remove.addEventListener("click", () => actions.remove(chosenLine()));
page.moveUp.addEventListener("click", () => actions.move(chosenLine(), -1));
page.moveDown.addEventListener("click", () => actions.move(chosenLine(), 1));

// The keys, the search, the buttons.

useRowKeys(page.rows, table, { open: enter, next: openNext, speak, remove: (line) => actions.remove(line), move: (line, by) => actions.move(line, by) });

const enterRows = (event) => (event.target === document.body ? table.focus(table.current) : false);
usePageKeys({
  undo: () => actions.undo(),
  "/": () => page.search.focus(),
  "?": () => page.keys.showModal(),
  a: () => openAlerts(detail.quote ?? table.current?.quote ?? null),
  Escape: () => (detail.quote === null ? false : closeChart()),
  ArrowDown: enterRows,
  ArrowUp: enterRows,
});

search.addEventListener("add", (event) => actions.add(event.names));
search.addEventListener("leave", () => (table.current ? table.focus(table.current) : page.search.blur()));
page.help.addEventListener("click", () => page.keys.showModal());
page.share.addEventListener("click", () => actions.share());

connection.open();
listChanged();
proposeList();
