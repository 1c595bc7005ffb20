// The table of the first page: filters, order, pages, the figure below, and two rows to compare.
"use strict";

(() => {
  const { rows, metrics, byId } = readBoard(window.calibenchBoard);
  const find = (id) => document.getElementById(id);
  const SIZES = [
    ["", "Any size"], ["0-5e8", "Below 500M"], ["5e8-2e9", "500M to 2B"], ["2e9-1e10", "2B to 10B"],
    ["1e10-Infinity", "10B and more"], ["unknown", "Unknown"],
  ];
  const FILTERS = ["task", "model", "method", "adapter", "setting", "size"];
  const MOST_BARS = 12;
  const collate = new Intl.Collator("en", { numeric: true }).compare;
  const state = { metric: "", sort: "", down: false, page: 0, chosen: [] };
  let shown = [], names = []; // the rows that fit, and the metrics with a column

  const columns = [
    { name: "model", title: "Model", text: (row) => row.model },
    { name: "size", title: "Size", number: true, text: (row) => row.sizeText },
    { name: "adapter", title: "Adapter", text: (row) => row.adapter },
    { name: "method", title: "Method", text: (row) => row.label },
    { name: "task", title: "Task", text: (row) => row.task },
    { name: "setting", title: "Setting", text: (row) => row.setting },
  ];

  function listOptions() {
    const values = (read) => [...new Set(rows.map(read))].filter(Boolean).sort(collate);
    const pairs = (texts) => texts.map((text) => [`=${text}`, text]);
    // Ranks mean something within a task, so that the table begins with one: that of most rows.
    const counts = new Map();
    for (const row of rows) counts.set(row.task, (counts.get(row.task) ?? 0) + 1);
    const largest = [...counts].reduce((best, other) => (other[1] > best[1] ? other : best))[0];
    options(find("task"), [["all", "All tasks"], ...pairs(values((row) => row.task))],
      `=${largest}`);
    options(find("method"), [["", "All methods"], ...pairs(values((row) => row.label))]);
    options(find("adapter"), [["", "With or without"], ["none", "None"], ["any", "Any adapter"],
      ...pairs(values((row) => row.adapter))]);
    options(find("setting"), [["", "All settings"], ...pairs(values((row) => row.setting))]);
    options(find("size"), SIZES);
    options(find("metric"), [...metrics.values()].map((m) => [m.name, m.heading]));
  }

  function inSize(row, size) {
    if (size === "unknown") return row.size === null;
    const [from, to] = size.split("-").map(Number);
    return row.size !== null && row.size >= from && row.size < to;
  }

  function filtered() {
    const [task, model, method, adapter, setting, size] = FILTERS.map((id) => find(id).value);
    const part = model.trim().toLowerCase();
    return rows.filter((row) =>
      (task === "all" || `=${row.task}` === task) &&
      (!part || row.model.toLowerCase().includes(part)) &&
      (!method || `=${row.label}` === method) &&
      (!adapter || (adapter === "none" ? !row.adapter
        : adapter === "any" ? row.adapter : `=${row.adapter}` === adapter)) &&
      (!setting || `=${row.setting}` === setting) &&
      (!size || inSize(row, size)));
  }

  // The four main ones, or what a stock task has, and the one that ranks.
  function shownMetrics(found) {
    const present = new Set();
    for (const row of found) for (const name of row.scores.keys()) present.add(name);
    const calibrated = MAIN.slice(0, 3).some((name) => present.has(name));
    const list = calibrated ? MAIN.filter((name) => present.has(name))
      : [...metrics.keys()].filter((name) => present.has(name)).slice(0, 5);
    if (!present.has(state.metric)) state.metric = list[0] ?? state.metric;
    if (metrics.has(state.sort) && !present.has(state.sort)) state.sort = "";
    if (!state.sort) [state.sort, state.down] = [state.metric, bestFirst(state.metric)];
    if (present.has(state.metric) && !list.includes(state.metric)) list.push(state.metric);
    return list;
  }

  function sorted(found) {
    const by = state.sort, sign = state.down ? -1 : 1;
    const column = columns.find((other) => other.name === by);
    const key = column ? (column.name === "size" ? (row) => row.size : column.text)
      : by === "rank" ? (row) => row.scores.get(state.metric)?.rank
      : by === "n" ? (row) => row.n : (row) => row.scores.get(by)?.value;
    const keyed = found.map((row) => ({ row, key: key(row) }));
    // Rows that are there to be beaten do not win: by any score they come last.
    const last = (row) => (column ? 0 : Number(row.sanity));
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

  function shownColumns() {
    return columns.filter((column) => column.name !== "task" || find("task").value === "all");
  }

  function head() {
    const cells = [make("th", { scope: "col" }, make("span", { class: "hidden" }, "Compare"))];
    const sortable = (name, title, number) => {
      const button = make("button", { type: "button", "data-sort": name }, title);
      const direction = state.sort === name ? (state.down ? "descending" : "ascending") : "none";
      const chosen = name === state.metric ? " by" : "";
      return make("th", { scope: "col", "aria-sort": direction,
        class: ((number ? "number" : "") + chosen).trim() || null }, button);
    };
    cells.push(sortable("rank", "Rank", true));
    cells.push(...shownColumns().map(({ name, title, number }) => sortable(name, title, number)));
    for (const name of names) cells.push(sortable(name, metrics.get(name).heading, true));
    cells.push(sortable("n", "n", true));
    return make("tr", null, ...cells);
  }

  function body(row) {
    const box = make("input", { type: "checkbox", "data-row": row.number,
      "aria-label": `Compare ${describe(row)}` });
    box.checked = state.chosen.includes(row.number);
    const link = make("a", { href: `${row.page}#${encodeURI(row.id)}` }, row.model);
    const cells = [
      make("td", null, box),
      make("td", { class: "number" }, String(row.scores.get(state.metric)?.rank ?? "–")),
      make("th", { scope: "row" }, link),
      make("td", { class: "number" }, row.sizeText),
    ];
    for (const column of shownColumns().slice(2)) {
      const text = column.text(row);
      cells.push(make("td", { class: text.length <= 24 ? "name short" : "name" },
        ...breakable(text)));
    }
    for (const name of names) {
      const score = row.scores.get(name);
      const cell = make("td", { class: name === state.metric ? "number by" : "number" });
      if (score) cell.append(formatNumber(score.value), make("small", null, formatInterval(score)));
      cells.push(cell);
    }
    cells.push(make("td", { class: "number" }, row.n.toLocaleString("en")));
    return make("tr", { class: row.sanity ? "sanity" : null }, ...cells);
  }

  function render() {
    const size = Number(find("rows").value);
    const pages = Math.max(1, Math.ceil(shown.length / size));
    state.page = Math.min(state.page, pages - 1);
    const visible = shown.slice(state.page * size, (state.page + 1) * size);
    const focused = document.activeElement?.dataset?.sort;
    const table = find("results");
    table.tHead.replaceChildren(head());
    table.tBodies[0].replaceChildren(...visible.map(body));
    if (focused) table.tHead.querySelector(`[data-sort="${CSS.escape(focused)}"]`)?.focus();
    const metric = metrics.get(state.metric);
    find("status").textContent = shown.length
      ? `${shown.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows. ` +
        `Rank by ${metric.heading} within each task.`
      : "No row fits these filters.";
    find("page").textContent = `Page ${state.page + 1} of ${pages}`;
    find("previous").disabled = state.page === 0;
    find("next").disabled = state.page >= pages - 1;
    find("pager").hidden = pages === 1 && shown.length <= 25;
    find("bars").replaceChildren(...["ece", "auroc"].map((name) => bars(visible, name)));
    chosenBar();
    remember();
  }

  function update() {
    const found = filtered();
    state.page = 0;
    state.metric = find("metric").value;
    names = shownMetrics(found);
    shown = sorted(found);
    render();
  }

  function bestFirst(name) {
    return metrics.get(name)?.higher ?? false;
  }

  function sortBy(name, down) {
    state.sort = name;
    state.down = down;
    update();
  }

  // Names go up, scores start with their best.
  function toggle(name) {
    sortBy(name, state.sort === name ? !state.down : bestFirst(name));
  }

  function chosenBar() {
    const pair = state.chosen.map((number) => rows[number]);
    find("chosen").hidden = !pair.length;
    if (!pair.length) return;
    const same = pair.length < 2 || pair[0].task === pair[1].task;
    find("chosen-open").disabled = pair.length < 2 || !same;
    find("chosen-text").textContent = pair.length < 2
      ? `Chosen: ${describe(pair[0])}. Choose one more.`
      : same ? `Chosen: ${describe(pair[0])} and ${describe(pair[1])}.`
      : "The two chosen rows are about different tasks; choose two of one task.";
  }

  function bars(visible, name) {
    const list = visible.filter((row) => row.scores.has(name) && !row.sanity).slice(0, MOST_BARS);
    const metric = metrics.get(name);
    if (!metric || !list.length) return "";
    const different = (read) => new Set(list.map(read)).size > 1;
    const parts = [(row) => row.label, (row) => row.model, (row) => row.adapter,
      (row) => row.setting, (row) => row.task]
      .filter((read, place) => place === 0 || different(read));
    const texts = (row) => parts.map((read) => read(row)).filter(Boolean);
    const text = (row) => texts(row).join(" · ");
    // Names begin and end with what tells them apart: the middle goes.
    const cut = (name) => (name.length <= 40 ? name : `${name.slice(0, 19)}…${name.slice(-19)}`);
    const [left, width, step] = [250, 230, list.some((row) => texts(row).length > 1) ? 36 : 26];
    const scores = list.map((row) => row.scores.get(name));
    const top = name === "auroc" ? 1
      : Math.max(0.1, ...scores.map((score) => Math.max(score.value ?? 0, score.high ?? 0)));
    const x = (value) => left + width * Math.min(Math.max(value / top, 0), 1);
    const height = 34 + step * list.length;
    const told = list.map((row, i) => `${text(row)} ${formatNumber(scores[i].value)}`).join("; ");
    const svg = draw("svg", { viewBox: `0 0 532 ${height}`, width: 532, height, role: "img",
      "aria-label": `${metric.heading}: ${told}` },
      draw("text", { class: "strong end", x: left - 8, y: 18 }, metric.heading));
    list.forEach((row, place) => {
      const y = 30 + step * place + (step - 26) / 2, score = scores[place];
      const [label, ...others] = texts(row), more = others.join(" · ");
      svg.append(draw("text", { class: "end", x: left - 8, y: y + (more ? 9 : 15) },
        label.length > 34 ? `${label.slice(0, 33)}…` : label, draw("title", null, text(row))));
      if (more) {
        svg.append(draw("text", { class: "soft small end", x: left - 8, y: y + 23 }, cut(more),
          draw("title", null, more)));
      }
      if (score.value === null) {
        svg.append(draw("text", { class: "soft", x: left + 6, y: y + 15 }, "undefined"));
        return;
      }
      svg.append(draw("rect", { class: row.adapter ? "main" : "bar", x: left, y: y + 3,
        width: x(score.value) - left, height: 17 }));
      if (score.low !== null && score.high !== null) {
        const [low, high] = [x(score.low), x(score.high)];
        svg.append(draw("path", { class: "line",
          d: `M${low},${y + 8}v7M${high},${y + 8}v7M${low},${y + 11.5}H${high}` }));
      }
      svg.append(draw("text", { x: left + width + 8, y: y + 16 }, formatNumber(score.value)));
    });
    if (name === "auroc") {
      svg.append(draw("path", { class: "dash", d: `M${x(0.5)},24V${height - 4}` }),
        draw("text", { class: "soft mid", x: x(0.5), y: 18 }, "chance"));
    }
    return make("figure", null, svg);
  }

  function remember() {
    const values = Object.fromEntries(FILTERS.map((id) => [id, find(id).value]));
    const chosen = state.chosen.map((number) => rows[number].id);
    writeHash({ ...values, metric: find("metric").value, sort: state.sort,
      down: state.down ? "1" : "", a: chosen[0] ?? "", b: chosen[1] ?? "" });
  }

  function recall() {
    const hash = readHash();
    for (const id of [...FILTERS, "metric"]) {
      const field = find(id), value = hash.get(id);
      if (value === null) continue;
      if (field.tagName === "INPUT" || [...field.options].some((o) => o.value === value)) {
        field.value = value;
      }
    }
    const metric = find("metric").value;
    const known = ["rank", "n", ...columns.map((column) => column.name), ...metrics.keys()];
    state.sort = known.includes(hash.get("sort")) ? hash.get("sort") : metric;
    state.down = hash.has("sort") ? hash.get("down") === "1" : bestFirst(metric);
    state.chosen = ["a", "b"].map((key) => byId.get(hash.get(key))?.number)
      .filter((number) => number !== undefined);
  }

  listOptions();
  recall();
  for (const id of ["filters", "region"]) find(id).hidden = false;

  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("filters").addEventListener("input", (event) => {
    if (event.target.id === "metric") {
      sortBy(event.target.value, bestFirst(event.target.value));
    } else update();
  });
  find("filters").addEventListener("reset", () => setTimeout(() => {
    sortBy(find("metric").value, bestFirst(find("metric").value));
  }));
  find("results").addEventListener("click", (event) => {
    const name = event.target.dataset?.sort;
    if (name) toggle(name);
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
    const [a, b] = state.chosen.map((number) => rows[number].id);
    location.href = `compare.html#${new URLSearchParams({ a, b })}`;
  });
  find("chosen-clear").addEventListener("click", () => {
    state.chosen = [];
    render();
  });
  find("previous").addEventListener("click", () => { state.page -= 1; render(); });
  find("next").addEventListener("click", () => { state.page += 1; render(); });
  find("rows").addEventListener("change", () => { state.page = 0; render(); });
  update();
})();
