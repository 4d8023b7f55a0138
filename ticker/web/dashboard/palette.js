// Colours of the charts: those of the stylesheet, read again when they change.

const NAMES = ["text", "muted", "line", "surface", "up", "down", "accent"];

export class Palette extends EventTarget {
  constructor() {
    super();
    this.#read();
    const changed = () => {
      this.#read();
      this.dispatchEvent(new Event("change"));
    };
    new MutationObserver(changed).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  }

  #read() {
    const style = getComputedStyle(document.documentElement);
    for (const name of NAMES) this[name] = style.getPropertyValue(`--${name}`).trim();
    this.font = style.getPropertyValue("--font").trim();
  }
}
