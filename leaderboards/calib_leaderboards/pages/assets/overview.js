// The first page: more rows of the overview, and the pictures of a chosen model and task.
"use strict";

(() => {
  const find = (id) => document.getElementById(id);
  const MARKS = [[1, "best"], [2, "above"], [4, "below"], [8, "partial"]];
  let scripts = new Map(), methods = [], rest = [], all = 0, parts = 0, part = 0;
  let chosen = null, wanted = 0;

  // Called by data/overview.js.
  window.calibenchOverview = ([models, columns, rows, files]) => {
    scripts = new Map(models);
    [methods, all, parts] = [columns, rows, files];
    const hash = readHash(), names = [...scripts.keys()];
    options(find("model"), names.map((name) => [name, name]), hash.get("model") ?? names[0]);
    find("choice").hidden = false;
    if (find("more")) find("more").hidden = !parts;
    choose(hash.get("task"));
  };

  async function more() {
    if (!rest.length && part < parts) {
      try {
        rest = await load("part", `data/overview-${part}.js`);
        part += 1;
      } catch (error) {
        find("shown").textContent = error.message;
        return;
      }
    }
    find("overview").tBodies[0].append(...rest.splice(0, 50).map(line));
    const shown = find("overview").tBodies[0].rows.length;
    find("shown").textContent = `${shown.toLocaleString("en")} of ${all.toLocaleString("en")} rows`;
    find("more").hidden = shown >= all;
  }

  function line([model, page, adapter, cells]) {
    const small = (text) => (text ? [make("small", null, text)] : []);
    return make("tr", null,
      make("th", { scope: "row" }, make("a", { href: page }, ...breakable(model)),
        ...(adapter ? [make("small", null, "+ ", ...breakable(adapter))] : [])),
      ...cells.map((cell, place) => {
        if (!cell) return make("td");
        const [mean, interval, tasks, marks] = cell, [label, sanity] = methods[place];
        const kinds = MARKS.filter(([mark]) => marks & mark).map(([, name]) => name);
        return make("td", { class: ["number", ...kinds, ...(sanity ? ["sanity"] : [])].join(" "),
          "data-label": label }, mean + (tasks ? "*" : ""), ...small(interval), ...small(tasks));
      }));
  }

  async function choose(task) {
    const mine = wanted += 1, name = find("model").value;
    find("status").textContent = "Loading …";
    try {
      const content = await load("model", scripts.get(name));
      if (mine !== wanted) return;
      chosen = content;
    } catch (error) {
      if (mine === wanted) find("status").textContent = error.message;
      return;
    }
    const titles = chosen.tasks.map(([title]) => title);
    options(find("task"), titles.map((title) => [title, title]),
      titles.includes(task) ? task : titles[0]);
    if (titles.length) return show();
    find("status").textContent = `${chosen.model} has no scores of confidences to draw.`;
    for (const id of ["bars", "reliability"]) find(id).replaceChildren();
    for (const id of ["reliability-heading", "reliability-how"]) find(id).hidden = true;
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
