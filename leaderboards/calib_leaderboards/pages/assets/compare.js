// The page that compares two rows: loads their samples, pairs them by question, shows differences.
"use strict";

(() => {
  const find = (id) => document.getElementById(id);
  const loaded = new Map();
  let task = null, wanted = 0;

  function samples(row) {
    if (!loaded.has(row.key)) loaded.set(row.key, unpack(row));
    return loaded.get(row.key);
  }

  async function unpack({ key, samples: file }) {
    let content;
    try {
      content = await load(`samples ${key}`, `samples/${file}.js`);
    } catch {
      loaded.delete(key);
      throw new Error(`The samples of ${key} could not be loaded.`);
    }
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const text = await new Response(stream).text();
    const lines = text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
    return new Map(lines.map((line) => [line.id, line]));
  }

  // Questions that both have, with the same text; where confidences are missing they are left out.
  function pair(first, second, one, two) {
    const common = [...one.keys()].filter((id) =>
      two.get(id)?.question_sha256 === one.get(id).question_sha256).sort();
    const sample = one.values().next().value, other = two.values().next().value;
    if (!sample || !other || ("confidence" in sample) !== ("confidence" in other)) {
      return { ids: [], common: common.length, sides: null };
    }
    if (!("confidence" in sample)) return { ...pairValues(first, second, one, two, common) };
    const usable = (line, row) =>
      line.correct !== null && typeof line.confidence[row.method] === "number";
    const ids = common.filter((id) => usable(one.get(id), first) && usable(two.get(id), second));
    const side = (lines, row) => ({
      confidence: ids.map((id) => lines.get(id).confidence[row.method]),
      correct: ids.map((id) => lines.get(id).correct),
    });
    const sides = [side(one, first), side(two, second)];
    const answers = ids.filter((id) => one.get(id).answer_sha256 === two.get(id).answer_sha256);
    return { ids, common: common.length, sides, same: answers.length,
      measures: sides.map(confidenceMeasures) };
  }

  function pairValues(first, second, one, two, common) {
    const names = [...first.scores.keys()].filter((name) => second.scores.has(name));
    const key = (row, name) => `${name},${row.method}`;
    const usable = (line, row) =>
      names.every((name) => typeof line.values[key(row, name)] === "number");
    const ids = common.filter((id) => usable(one.get(id), first) && usable(two.get(id), second));
    const measure = (lines, row) => new Map(names.map((name) => {
      const values = ids.map((id) => lines.get(id).values[key(row, name)]);
      return [name, (weights) => weightedMean(values, weights)];
    }));
    const measures = [measure(one, first), measure(two, second)];
    return { ids, common: common.length, sides: null, measures };
  }

  function verdict(result) {
    const higher = task.metrics.get(result.name)?.higher;
    if (result.low === null) return "undefined";
    if (result.low <= 0 && result.high >= 0) return "no clear difference";
    if (higher === null || higher === undefined) return "different";
    return (result.difference > 0) === higher ? "second is better" : "first is better";
  }

  function signed(value) {
    if (value === null || !Number.isFinite(value)) return "undefined";
    const size = formatNumber(Math.abs(value));
    const sign = Number(size) === 0 ? "" : value > 0 ? "+" : "−";
    return sign + size;
  }

  function finite(value) {
    return formatNumber(Number.isFinite(value) ? value : null);
  }

  function table(results) {
    const head = ["Score", "First", "Second", "Second − first", "95 % interval", "Verdict"];
    const cells = (result) => [
      make("th", { scope: "row" }, task.metrics.get(result.name)?.heading ?? result.name),
      make("td", { class: "number" }, finite(result.first)),
      make("td", { class: "number" }, finite(result.second)),
      make("td", { class: "number" }, signed(result.difference)),
      make("td", { class: "number" }, result.low === null ? "undefined"
        : `${signed(result.low)} to ${signed(result.high)}`),
      make("td", null, verdict(result)),
    ];
    const region = { class: "scroll", tabindex: 0, role: "region", "aria-label": "Differences" };
    return make("div", region,
      make("table", { id: "differences" },
        make("thead", null, make("tr", null, ...head.map((text, place) =>
          make("th", { scope: "col", class: place > 0 && place < 5 ? "number" : null }, text)))),
        make("tbody", null, ...results.map((result) => make("tr", null, ...cells(result))))));
  }

  function curves(sides) {
    const [left, base, size] = [44, 250, 240];
    const path = ({ confidence, correct }) => `M${riskCoverage(confidence, correct).map(
      ([c, r]) => `${(left + size * c).toFixed(1)},${(base - size * r).toFixed(1)}`).join("L")}`;
    const grid = [0, 1, 2, 3, 4].map((i) =>
      `M${left},${base - size * i / 4}h${size}M${left + size * i / 4},${base}v-${size}`).join("");
    const svg = draw("svg", { viewBox: "0 0 300 300", width: 300, height: 300, role: "img",
      "aria-label": "Risk and coverage of both rows; the values are on the pages of their models" },
      draw("path", { class: "grid", d: grid }),
      draw("path", { class: "curve", d: path(sides[0]) }),
      draw("path", { class: "curve other", d: path(sides[1]) }),
      draw("text", { class: "soft mid", x: left + size / 2, y: base + 36 }, "Coverage"),
      draw("text", { class: "soft mid",
        transform: `translate(12,${base - size / 2})rotate(-90)` }, "Risk"));
    for (const share of [0, 0.5, 1]) {
      const [x, y, text] = [left + size * share, base - size * share + 4, String(share)];
      svg.append(draw("text", { class: "soft mid", x, y: base + 16 }, text),
        draw("text", { class: "soft end", x: left - 6, y }, text));
    }
    return make("figure", null, svg, make("figcaption", null,
      "Risk and coverage: solid, the first row; dashed, the second."));
  }

  async function compare() {
    const [first, second] = [task.byId.get(find("a").value), task.byId.get(find("b").value)];
    writeHash({ task: task.title, a: first?.id ?? "", b: second?.id ?? "" });
    find("comparison").replaceChildren();
    if (!first || !second) return;
    const mine = wanted += 1;
    find("status").textContent = "Loading the samples …";
    try {
      for (const row of [first, second]) {
        if (!row.samples) throw new Error(`The samples of ${describe(row)} were not kept.`);
      }
      const [one, two] = await Promise.all([samples(first), samples(second)]);
      if (mine !== wanted) return; // another pair was chosen meanwhile
      show(first, second, pair(first, second, one, two));
    } catch (error) {
      if (mine === wanted) find("status").textContent = error.message;
    }
  }

  function show(first, second, paired) {
    const n = paired.ids.length;
    if (n < 2) {
      find("status").textContent = "These two rows cannot be compared: they have fewer than two " +
        "questions in common with a score of both.";
      return;
    }
    const results = pairedDifferences(paired.measures[0], paired.measures[1], n);
    const left = paired.common - n;
    const link = (row) => make("a", { href: `${row.page}#${encodeURI(row.id)}` }, describe(row));
    const notes = [`${n.toLocaleString("en")} questions in common` +
      (left ? `; ${left.toLocaleString("en")} more are without a confidence of both` : "") + ". "];
    if (paired.sides) {
      notes.push(paired.same === n ? "Both judge the same answers. "
        : `The answers are the same to ${paired.same.toLocaleString("en")} of them. `);
    }
    notes.push(`${RESAMPLES.toLocaleString("en")} resamples, seed 0.`);
    find("status").textContent = notes.join("");
    find("comparison").replaceChildren(
      make("p", null, "First: ", link(first), make("br"), "Second: ", link(second)),
      table(results), ...(paired.sides ? [curves(paired.sides)] : []));
  }

  function listRows(hash) {
    // Those that are ranked first, so that the page begins with the best two.
    const place = (row) => (row.main ? row.rank ?? 1e8 : 1e9);
    const ordered = [...task.rows].sort((one, two) => place(one) - place(two));
    const texts = ordered.map((row) => [row.id, describe(row)]);
    const known = (id, at) => (task.byId.has(id) ? id : ordered[at]?.id);
    options(find("a"), texts, known(hash.get("a"), 0));
    options(find("b"), texts, known(hash.get("b"), 1));
  }

  async function open(title, hash) {
    const mine = wanted += 1;
    find("status").textContent = "Loading …";
    find("comparison").replaceChildren();
    try {
      const content = await loadTask(title);
      if (mine !== wanted) return;
      task = content;
    } catch (error) {
      if (mine === wanted) find("status").textContent = error.message;
      return;
    }
    listRows(hash);
    find("pair").hidden = false;
    compare();
  }

  const hash = readHash(), titles = calibenchTaskList.map(([title]) => title);
  const first = titles.includes(hash.get("task")) ? hash.get("task") : titles[0];
  options(find("task"), titles.map((title) => [title, title]), first);
  find("task").addEventListener("change", () => open(find("task").value, new URLSearchParams()));
  for (const id of ["a", "b"]) find(id).addEventListener("change", compare);
  find("pair").addEventListener("submit", (event) => event.preventDefault());
  open(first, hash);
})();
