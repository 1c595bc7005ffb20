// The first page: more rows of the overview, and the pictures of a chosen model and task.
"use strict";

(() => {
  const find = (id) => document.getElementById(id);
  let scripts = {}, rest = [], chosen = null, wanted = 0;

  // Called by data/overview.js.
  window.calibenchOverview = ([rows, models]) => {
    rest = rows;
    scripts = models;
    const hash = readHash(), names = Object.keys(scripts);
    options(find("model"), names.map((name) => [name, name]), hash.get("model") ?? names[0]);
    find("choice").hidden = false;
    if (find("more")) find("more").hidden = !rest.length;
    choose(hash.get("task"));
  };

  function more() {
    const next = rest.splice(0, 50);
    find("overview").tBodies[0].append(...next.map((row) => {
      const small = (text) => (text ? [make("small", null, text)] : []);
      return make("tr", { class: [row.sanity && "sanity", !row.whole && "part"].filter(Boolean)
        .join(" ") || null }, naming(row, row.page),
        make("td", { class: "number" }, row.mean, ...small(row.interval)),
        make("td", { class: "number" }, row.above));
    }));
    const shown = find("overview").tBodies[0].rows.length;
    find("shown").textContent = `${shown.toLocaleString("en")} of ` +
      `${(shown + rest.length).toLocaleString("en")} rows`;
    find("more").hidden = !rest.length;
  }

  async function choose(task) {
    const mine = wanted += 1, name = find("model").value;
    find("status").textContent = "Loading …";
    try {
      const content = await load("model", scripts[name]);
      if (mine !== wanted) return;
      chosen = content;
    } catch (error) {
      if (mine === wanted) find("status").textContent = error.message;
      return;
    }
    const titles = chosen.tasks.map(([title]) => title);
    options(find("task"), titles.map((title) => [title, title]),
      titles.includes(task) ? task : titles[0]);
    show();
  }

  function show() {
    const title = find("task").value;
    const [, setting, rows] = chosen.tasks.find(([name]) => name === title);
    const read = ([value, low, high]) => ({ value, low, high });
    const compared = rows.filter(([, , marks]) => !(marks & 1));
    const adapters = new Set(compared.map(([, adapter]) => adapter).filter(Boolean));
    const texts = ([label, adapter]) => (adapter && adapters.size > 1 ? [label, adapter] : [label]);
    const panel = (heading, place, auroc) => drawBars(heading, compared
      .filter((row) => row[place]).map((row) =>
        ({ texts: texts(row), score: read(row[place]), strong: Boolean(row[1]) })), { auroc });
    find("status").textContent = `${chosen.model} on ${title}, ${setting}, best skill first.`;
    find("bars").replaceChildren(panel("ECE ↓", 4, false), panel("AUROC ↑", 5, true));
    const drawn = rows.filter((row) => row[6].length);
    find("reliability").replaceChildren(...drawn.map((row) => make("figure", null,
      make("figcaption", null, texts(row).join(" · "),
        make("small", null, `skill ${formatNumber(row[3] ? row[3][0] : null)}`)),
      drawReliability(texts(row).join(" · "), row[6]))));
    for (const id of ["reliability-heading", "reliability-how"]) find(id).hidden = !drawn.length;
    writeHash({ model: chosen.model, task: title });
  }

  find("model").addEventListener("change", () => choose(find("task").value));
  find("task").addEventListener("change", show);
  find("choice").addEventListener("submit", (event) => event.preventDefault());
  find("more")?.addEventListener("click", more);
})();
