// Messages to the user: a text that goes away by itself, and what a screen reader says.

const TOAST_MS = 6000;

export class Messages {
  #page;
  #timer;

  constructor(page, undo) {
    this.#page = page;
    page.undo.addEventListener("click", undo);
  }

  toast(text, { undoable = false } = {}) {
    const { toast, toastText, undo } = this.#page;
    this.announce(text);
    toastText.textContent = text;
    undo.hidden = !undoable;
    toast.hidden = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (toast.hidden = true), TOAST_MS);
  }

  hide() {
    this.#page.toast.hidden = true;
  }

  /** Have a screen reader say this when it is free. */
  announce(text) {
    this.#page.announcer.textContent = text;
  }
}
