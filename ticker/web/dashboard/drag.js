// Moving rows with a pointer: a row is dragged by its grip, and the list follows at once.

/** `over(name, target)` is called when the dragged name lies over another one; `end` when it is let go. */
export function makeDraggable(body, table, over, end) {
  let dragged = null;

  body.addEventListener("pointerdown", (event) => {
    if (!event.target.closest(".grip") || event.button !== 0) return;
    const row = table.rowOf(event.target);
    if (row === null) return;
    event.preventDefault();
    dragged = row;
    body.setPointerCapture(event.pointerId);
    mark(true);
  });

  body.addEventListener("pointermove", (event) => {
    if (dragged === null) return;
    const rows = document.elementsFromPoint(body.getBoundingClientRect().left + 40, event.clientY);
    const target = table.rowOf(rows.find((element) => element.classList.contains("row")));
    if (target !== null && target.name !== dragged.name) over(dragged.name, target.name);
  });

  for (const kind of ["pointerup", "pointercancel"]) {
    body.addEventListener(kind, () => {
      if (dragged === null) return;
      mark(false);
      const { name } = dragged;
      dragged = null;
      end(name);
    });
  }

  function mark(on) {
    for (const row of table.order) if (row.name === dragged.name) row.element.classList.toggle("dragged", on);
  }
}
