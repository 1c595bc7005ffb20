// The table of a task: filters, order, other settings unfolded below their row, the figure below,
// and two rows to compare.
"use strict";

(() => {
  const find = (id) => document.getElementById(id);
  const SIZES = [
    ["", "Any size"], ["0-5e8", "Below 500M"], ["5e8-2e9", "500M to 2B"], ["2e9-1e10", "2B to 10B"],
    ["1e10-Infinity", "10B and more"], ["unknown", "Unknown"],
  ];
  const FILTERS = ["task", "model", "method", "adapter", "setting", "size"];
  const MOST_BARS = 12;
  const collate = new Intl.Collator("en", { numeric: true }).compare;
  const state = { sort: "", down: false, page: 0, chosen: [], open: new Set() };
  let task = null, wanted = 0;
  let shown = [], names = []; // the rows that fit, and the metrics with a column

  function listOptions() {
    const values = (read) => [...new Set(task.rows.map(read))].filter(Boolean).sort(collate);
    const pairs = (texts) => texts.map((text) => [`=${text}`, text]);
    options(find("method"), [["", "All methods"], ...pairs(values((row) => row.label))]);
    options(find("adapter"), [["", "With or without"], ["none", "None"], ["any", "Any adapter"],
      ...pairs(values((row) => row.adapter))]);
    options(find("setting"), [["", `Default (${task.setting})`], ["all", "All settings"],
      ...pairs(values((row) => row.setting))]);
    options(find("size"), SIZES);
    options(find("metric"), [["", "Nothing more"],
      ...[...task.metrics.values()].map((m) => [m.name, m.heading])]);
    find("how").textContent = task.how;
    find("notes").replaceChildren(...task.notes.map((text) => make("p", { class: "note" }, text)));
  }

  function inSize(row, size) {
    if (size === "unknown") return row.size === null;
    const [from, to] = size.split("-").map(Number);
    return row.size !== null && row.size >= from && row.size < to;
  }

  function filtered() {
    const [, model, method, adapter, setting, size] = FILTERS.map((id) => find(id).value);
    const part = model.trim().toLowerCase();
    return task.rows.filter((row) =>
      (!part || row.model.toLowerCase().includes(part)) &&
      (!method || `=${row.label}` === method) &&
      (!adapter || (adapter === "none" ? !row.adapter
        : adapter === "any" ? row.adapter : `=${row.adapter}` === adapter)) &&
      (setting === "all" || (setting ? `=${row.setting}` === setting : row.main)) &&
      (!size || inSize(row, size)));
  }

  // The main ones, or what a stock task has, and the one that was asked for.
  function shownMetrics() {
    const calibrated = MAIN.slice(0, 3).some((name) => task.metrics.has(name));
    const list = calibrated ? MAIN.filter((name) => task.metrics.has(name))
      : [...task.metrics.keys()].slice(0, 5);
    const more = find("metric").value;
    return !more || list.includes(more) ? list : [...list, more];
  }

  function sorted(found) {
    const by = state.sort, sign = state.down ? -1 : 1;
    const keys = { rank: (row) => row.rank, name: (row) => `${row.label} ${row.model}`,
      setting: (row) => row.setting, n: (row) => row.n };
    const key = keys[by] ?? ((row) => row.scores.get(by)?.value);
    const keyed = found.map((row) => ({ row, key: key(row) }));
    // Rows that are there to be beaten do not win: by any score they come last.
    const last = (row) => (by === "name" || by === "setting" ? 0 : Number(row.sanity));
    const empty = (value) => value === undefined || value === null || value === "";
    keyed.sort((one, two) => {
      if (last(one.row) !== last(two.row)) return last(one.row) - last(two.row);
      if (empty(one.key) || empty(two.key)) {
        return empty(one.key) - empty(two.key) || one.row.number - two.row.number;
      }
      const order = typeof one.key === "string" ? collate(one.key, two.key) : one.key - two.key;
      return sign * order || one.row.number - two.row.number;
    });
    return keyed.map((pair) => pair.row);
  }

  function withSetting() {
    return find("setting").value === "all";
  }

  function head() {
    const cells = [make("th", { scope: "col", class: "pick" },
      make("span", { class: "hidden" }, "Compare"))];
    const sortable = (name, title, kind) => {
      const button = make("button", { type: "button", "data-sort": name }, title);
      const direction = state.sort === name ? (state.down ? "descending" : "ascending") : "none";
      return make("th", { scope: "col", "aria-sort": direction, class: kind || null }, button);
    };
    cells.push(sortable("rank", "Rank", "number rank"));
    cells.push(sortable("name", "Method and model", "what"));
    if (withSetting()) cells.push(sortable("setting", "Setting"));
    for (const name of names) {
      cells.push(sortable(name, task.metrics.get(name).heading,
        name === task.main ? "number by" : "number"));
    }
    cells.push(sortable("n", "n", "number wide"));
    return make("tr", null, ...cells);
  }

  function folded(row) {
    if (find("setting").value || !row.main) return [];
    return task.rows.filter((other) => other.who === row.who && other !== row);
  }

  function body(row, under) {
    const box = make("input", { type: "checkbox", "data-row": row.number,
      "aria-label": `Compare ${describe(row)}` });
    box.checked = state.chosen.includes(row.number);
    const more = under ? [] : folded(row), open = state.open.has(row.number);
    const extra = [];
    if (under) extra.push(make("small", null, ...breakable(row.setting)));
    if (more.length) {
      extra.push(make("button", { type: "button", class: "unfold", "data-open": row.number,
        "aria-expanded": String(open), "aria-label": `${more.length} other ` +
        `setting${more.length > 1 ? "s" : ""} of ${describe(row)}` },
        `${more.length} other setting${more.length > 1 ? "s" : ""}`));
    }
    const cells = [make("td", { class: "pick" }, box),
      make("td", { class: "number rank" }, row.rank === null ? "" : String(row.rank)),
      naming(row, `${row.page}#${encodeURI(row.id)}`, ...extra)];
    if (withSetting()) cells.push(make("td", { class: "name" }, ...breakable(row.setting)));
    for (const name of names) {
      const score = row.scores.get(name);
      const grey = name === "auroc" && row.few;
      const kind = ["number", name === task.main && "by", grey && "grey"].filter(Boolean).join(" ");
      cells.push(score ? make("td", { class: kind },
        formatNumber(score.value) + (grey ? " †" : ""),
        make("small", null, formatInterval(score))) : make("td", { class: kind }));
    }
    cells.push(make("td", { class: "number wide" }, row.n.toLocaleString("en")));
    const kinds = [row.sanity && "sanity", under && "under"].filter(Boolean).join(" ");
    const line = make("tr", { class: kinds || null }, ...cells);
    return open ? [line, ...sorted(more).flatMap((other) => body(other, true))] : [line];
  }

  function render() {
    const size = Number(find("rows").value);
    const pages = Math.max(1, Math.ceil(shown.length / size));
    state.page = Math.min(state.page, pages - 1);
    const visible = shown.slice(state.page * size, (state.page + 1) * size);
    const focused = document.activeElement?.dataset ?? {};
    const table = find("results");
    table.tHead.replaceChildren(head());
    table.tBodies[0].replaceChildren(...visible.flatMap((row) => body(row, false)));
    for (const kind of ["sort", "open"]) {
      const place = focused[kind];
      if (place) table.querySelector(`[data-${kind}="${CSS.escape(place)}"]`)?.focus();
    }
    find("status").textContent = shown.length
      ? `${shown.length.toLocaleString("en")} of ${task.rows.length.toLocaleString("en")} rows.`
      : "No row fits these filters.";
    find("few").hidden = !visible.some((row) => row.few && row.scores.has("auroc"));
    find("page").textContent = `Page ${state.page + 1} of ${pages}`;
    find("previous").disabled = state.page === 0;
    find("next").disabled = state.page >= pages - 1;
    find("pager").hidden = pages === 1 && shown.length <= 25;
    find("bars").replaceChildren(...["ece", "auroc"].map((name) => bars(visible, name)));
    chosenBar();
    remember();
  }

  function update() {
    state.page = 0;
    names = shownMetrics();
    if (task.metrics.has(state.sort) && !names.includes(state.sort)) order(task.main);
    shown = sorted(filtered());
    render();
  }

  // Names go up, scores start with their best.
  function order(name) {
    const best = task.metrics.get(name)?.higher ?? false;
    state.down = state.sort === name ? !state.down : best;
    state.sort = name;
  }

  function chosenBar() {
    const pair = state.chosen.map((number) => task.rows[number]);
    find("chosen").hidden = !pair.length;
    if (!pair.length) return;
    find("chosen-open").disabled = pair.length < 2;
    find("chosen-text").textContent = pair.length < 2
      ? `Chosen: ${describe(pair[0])}. Choose one more.`
      : `Chosen: ${describe(pair[0])} and ${describe(pair[1])}.`;
  }

  function bars(visible, name) {
    const list = visible.filter((row) => row.scores.has(name) && !row.sanity).slice(0, MOST_BARS);
    const metric = task.metrics.get(name);
    if (!metric || !list.length) return "";
    const different = (read) => new Set(list.map(read)).size > 1;
    const parts = [(row) => row.label, (row) => row.model, (row) => row.adapter,
      (row) => row.setting].filter((read, place) => place === 0 || different(read));
    return drawBars(metric.heading, list.map((row) => ({ score: row.scores.get(name),
      strong: Boolean(row.adapter), texts: parts.map((read) => read(row)).filter(Boolean) })),
      { auroc: name === "auroc" });
  }

  function remember() {
    const values = Object.fromEntries(FILTERS.map((id) => [id, find(id).value]));
    const chosen = state.chosen.map((number) => task.rows[number].id);
    writeHash({ ...values, metric: find("metric").value, sort: state.sort,
      down: state.down ? "1" : "", a: chosen[0] ?? "", b: chosen[1] ?? "" });
  }

  function recall(hash) {
    for (const id of [...FILTERS.slice(1), "metric"]) {
      const field = find(id), value = hash.get(id);
      if (value === null) continue;
      if (field.tagName === "INPUT" || [...field.options].some((o) => o.value === value)) {
        field.value = value;
      }
    }
    const known = ["rank", "name", "setting", "n", ...task.metrics.keys()];
    state.sort = "";
    order(known.includes(hash.get("sort")) ? hash.get("sort") : task.main);
    if (hash.has("sort")) state.down = hash.get("down") === "1";
    state.chosen = ["a", "b"].map((key) => task.byId.get(hash.get(key))?.number)
      .filter((number) => number !== undefined);
    state.open.clear();
  }

  async function open(title, hash) {
    const mine = wanted += 1;
    find("status").textContent = "Loading …";
    try {
      const content = await loadTask(title);
      if (mine !== wanted) return;
      task = content;
    } catch (error) {
      if (mine === wanted) find("status").textContent = error.message;
      return;
    }
    listOptions();
    recall(hash);
    for (const id of ["filters", "region"]) find(id).hidden = false;
    update();
  }

  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("filters").addEventListener("input", (event) => {
    if (event.target.id === "task") {
      open(event.target.value, new URLSearchParams());
    } else {
      if (event.target.id === "metric" && event.target.value) {
        state.sort = "";
        order(event.target.value);
      }
      update();
    }
  });
  find("filters").addEventListener("reset", (event) => {
    event.preventDefault();
    find("model").value = "";
    open(find("task").value, new URLSearchParams());
  });
  find("results").addEventListener("click", (event) => {
    const { sort, open: unfold } = event.target.dataset ?? {};
    if (sort) {
      order(sort);
      update();
    } else if (unfold) {
      const number = Number(unfold);
      if (!state.open.delete(number)) state.open.add(number);
      render();
    }
  });
  find("results").addEventListener("change", (event) => {
    const number = Number(event.target.dataset.row);
    const others = state.chosen.filter((other) => other !== number);
    state.chosen = event.target.checked ? [...others, number].slice(-2) : others;
    for (const box of find("results").querySelectorAll("[data-row]")) {
      box.checked = state.chosen.includes(Number(box.dataset.row));
    }
    chosenBar();
    remember();
  });
  find("chosen-open").addEventListener("click", () => {
    const [a, b] = state.chosen.map((number) => task.rows[number].id);
    location.href = `compare.html#${new URLSearchParams({ task: task.title, a, b })}`;
  });
  find("chosen-clear").addEventListener("click", () => {
    state.chosen = [];
    render();
  });
  find("previous").addEventListener("click", () => { state.page -= 1; render(); });
  find("next").addEventListener("click", () => { state.page += 1; render(); });
  find("rows").addEventListener("change", () => { state.page = 0; render(); });

  const hash = readHash(), titles = calibenchTaskList.map(([title]) => title);
  const first = titles.includes(hash.get("task")) ? hash.get("task") : titles[0];
  options(find("task"), titles.map((title) => [title, title]), first);
  open(first, hash);
})();
