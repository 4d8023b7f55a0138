// The keys: those of the rows, and those of the page.

/** The keys of the rows. `act` has open, next, remove, move and speak. */
export function useRowKeys(rows, table, act) {
  const keys = {
    ArrowDown: () => table.step(1),
    ArrowUp: () => table.step(-1),
    PageDown: () => table.step(table.pageful),
    PageUp: () => table.step(-table.pageful),
    Home: () => table.step(-Infinity),
    End: () => table.step(Infinity),
    Enter: () => act.open(table.current),
    " ": () => act.next(1),
    Delete: () => act.remove(table.current),
    s: () => act.speak(table.current),
  };
  const backwards = { " ": () => act.next(-1) };
  const moves = { ArrowDown: () => act.move(table.current, 1), ArrowUp: () => act.move(table.current, -1) };
  rows.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.target.closest("button")) return;
    const key = (event.shiftKey ? backwards : event.altKey ? moves : keys)[event.key];
    if (key === undefined) return;
    event.preventDefault();
    key();
  });
}

/** The keys of the page, where nothing else takes them. `act` has a function for each key, and undo. */
export function usePageKeys(act) {
  document.addEventListener("keydown", (event) => {
    const writing = event.target.closest?.("input:not([type=radio], [type=checkbox]), textarea, select");
    if (event.defaultPrevented || writing || document.querySelector("dialog[open], :popover-open")) return;
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key === "z") act.undo();
    else if (command || event.altKey || act[event.key] === undefined) return;
    else if (act[event.key](event) === false) return;
    event.preventDefault();
  });
}
