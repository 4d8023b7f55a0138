/** Whether the page is visible. Outside of a page there is nothing to watch. */
/**
 * Call `hide` when the page has been hidden for `afterMs`, and `show` when it is visible. Returns a function that ends this.
 * @param {number} afterMs
 * @param {() => void} hide
 * @param {() => void} show
 * @returns {() => void}
 */
export declare function watchVisibility(afterMs: number, hide: () => void, show: () => void): () => void;
