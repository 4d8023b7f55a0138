// The colours: the system's, or light or dark as chosen here before. A classic script in the head, so that the
// page never shows itself in the other ones first.

"use strict";

(() => {
  const KEY = "ticker.theme";
  const NAMES = { auto: "Auto", light: "Light", dark: "Dark" };
  const themes = Object.keys(NAMES);

  function stored() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage may be switched off
    }
  }

  let theme = themes.includes(stored()) ? stored() : "auto";

  function apply() {
    document.documentElement.dataset.theme = theme;
  }

  function show(button) {
    document.getElementById("theme-name").textContent = NAMES[theme];
    button.setAttribute("aria-label", `Colours: ${NAMES[theme]}`);
  }

  apply();
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    show(button);
    button.addEventListener("click", () => {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      apply();
      show(button);
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // then it is kept until the page is left
      }
    });
  });
})();
