// Unfolds the entry that the address leads to, which not every browser does by itself.
"use strict";

(() => {
  function unfold() {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let part = target.closest("details"); part; part = part.parentElement.closest("details")) {
      part.open = true;
    }
    target.scrollIntoView();
  }

  addEventListener("hashchange", unfold);
  unfold();
})();
