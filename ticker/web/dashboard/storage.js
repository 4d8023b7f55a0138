// What is the user's, kept in this browser: each entry has a version, and is checked when it is read.

/** The value of an entry; null if there is none that this version of the page can use. */
export function load(key, version, isValid) {
  try {
    const kept = JSON.parse(localStorage.getItem(key));
    return kept?.version === version && isValid(kept.value) ? kept.value : null;
  } catch {
    return null; // storage may be switched off
  }
}

/** Keep a value; false if this browser does not. */
export function save(key, version, value) {
  try {
    localStorage.setItem(key, JSON.stringify({ version, value }));
    return true;
  } catch {
    return false;
  }
}

/** Call `changed` when another tab has changed an entry. */
export function watch(key, changed) {
  addEventListener("storage", (event) => {
    if (event.key === key) changed();
  });
}
