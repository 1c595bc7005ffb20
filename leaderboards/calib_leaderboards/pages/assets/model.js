// Shows the ranks, and unfolds the entry that the address leads to, which not every browser does.
"use strict";

// Called by a script in data/rank/.
function calibenchRanks(ranks) {
  for (const cell of document.querySelectorAll("[data-rank]")) {
    cell.textContent = ranks[cell.dataset.rank] ?? "";
  }
}

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
