// Moving rows with a pointer: a row is dragged by its grip, and the list follows at once; at its ends it scrolls.

const EDGE = 36;
const STEP = 14;

/** `over(name, target, gesture)` is called when the dragged name lies over another one; `end` when it is let go. */
export function makeDraggable(body, scroller, table, over, end) {
  let dragged = null;
  let gesture = 0;
  let pointerY = 0;

  body.addEventListener("pointerdown", (event) => {
    if (!event.target.closest(".grip") || event.button !== 0) return;
    const line = table.lineOf(event.target);
    if (line === null) return;
    event.preventDefault();
    dragged = line;
    gesture += 1;
    pointerY = event.clientY;
    body.setPointerCapture(event.pointerId);
    mark(true);
    requestAnimationFrame(scroll);
  });

  body.addEventListener("pointermove", (event) => {
    if (dragged === null) return;
    pointerY = event.clientY;
    follow();
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

  function follow() {
    const target = table.lineAt(pointerY);
    if (target !== null && target.name !== dragged.name) over(dragged.name, target.name, `drag ${gesture}`);
    mark(true);
  }

  function scroll() {
    if (dragged === null) return;
    const { top, bottom } = scroller.getBoundingClientRect();
    const by = pointerY < top + EDGE ? -STEP : pointerY > bottom - EDGE ? STEP : 0;
    if (by !== 0) {
      scroller.scrollTop += by;
      follow();
    }
    requestAnimationFrame(scroll);
  }

  function mark(on) {
    for (const element of body.querySelectorAll(".dragged")) element.classList.remove("dragged");
    if (on) table.elementOf(dragged)?.classList.add("dragged");
  }
}
