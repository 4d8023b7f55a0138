/** Whether the page is visible. Outside of a page there is nothing to watch. */

/**
 * Call `hide` when the page has been hidden for `afterMs`, and `show` when it is visible. Returns a function that ends this.
 * @param {number} afterMs
 * @param {() => void} hide
 * @param {() => void} show
 * @returns {() => void}
 */
export function watchVisibility(afterMs, hide, show) {
  const page = globalThis.document;
  if (!page) return () => {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const update = () => {
    clearTimeout(timer);
    if (page.hidden) timer = setTimeout(hide, afterMs);
    else show();
  };
  page.addEventListener("visibilitychange", update);
  update();
  return () => {
    clearTimeout(timer);
    page.removeEventListener("visibilitychange", update);
  };
}
