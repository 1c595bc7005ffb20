// What the pages share: parts of the data as objects, and elements made without HTML text.
"use strict";

const ARROWS = new Map([[true, " ↑"], [false, " ↓"], [null, ""]]);
const MAIN = ["brier_skill", "ece", "auroc", "aurc", "acc"];
const SVG = "http://www.w3.org/2000/svg";
let calibenchTaskList = [];
const waiting = new Map(); // what to call with the content of a script that is being loaded
const loading = new Map();

// Called by the scripts in data/ and samples/.
function calibenchTasks(tasks) { calibenchTaskList = tasks; }
function calibenchTask(content) { waiting.get("task")?.(content); }
function calibenchModel(content) { waiting.get("model")?.(content); }
function calibenchPart(content) { waiting.get("part")?.(content); }
function calibenchSamples(key, content) { waiting.get(`samples ${key}`)?.(content); }

// The content of a script; one of a kind at a time, except samples, which say whose they are.
async function load(kind, file) {
  while (loading.has(kind)) await loading.get(kind).catch(() => null);
  const promise = new Promise((resolve, reject) => {
    waiting.set(kind, resolve);
    const script = make("script", { src: encodeURI(file) });
    script.addEventListener("error", () => reject(new Error(`${file} could not be loaded.`)));
    document.head.append(script);
  });
  loading.set(kind, promise);
  try {
    return await promise;
  } finally {
    loading.delete(kind);
    waiting.delete(kind);
  }
}

async function loadTask(title) {
  const [, file] = calibenchTaskList.find(([name]) => name === title) ?? calibenchTaskList[0];
  return readTask(await load("task", file));
}

function readTask(task) {
  const entries = task.entries.map(([model, adapter, setting, samples, key]) => ({
    model: task.models[model][0],
    page: task.models[model][1],
    size: task.models[model][2],
    sizeText: task.models[model][3],
    adapter: task.adapters[adapter],
    setting: task.settings[setting],
    samples: ["", key.slice(0, key.lastIndexOf("/")), key][samples],
    key,
  }));
  const rows = task.rows.map(([entry, method, label, marks, rank, n, scores], number) => {
    const row = Object.create(entries[entry]);
    row.number = number;
    row.method = task.methods[method][0];
    row.id = `${row.key}.${task.methods[method][1]}`;
    row.label = task.labels[label];
    row.sanity = (marks & 1) > 0;
    row.main = (marks & 2) > 0;
    row.few = (marks & 4) > 0;
    row.rank = rank;
    row.n = n;
    row.who = JSON.stringify([row.model, row.adapter, row.method]);
    row.scores = new Map(scores.map(([metric, value, low, high]) =>
      [task.metrics[metric][0], { value, low, high }]));
    return row;
  });
  const metrics = new Map(task.metrics.map(([name, title, higher]) =>
    [name, { name, title, higher, heading: title + ARROWS.get(higher) }]));
  return { ...task, rows, metrics, byId: new Map(rows.map((row) => [row.id, row])) };
}

function formatNumber(value) {
  if (value === null || value === undefined) return "undefined";
  if (Math.abs(value) < 100) return value.toFixed(3).replace("-", "−");
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}

function formatInterval(score) {
  if (score.low === null || score.high === null) return "";
  const dash = score.low < 0 || score.high < 0 ? " to " : "–";
  return `${formatNumber(score.low)}${dash}${formatNumber(score.high)}`;
}

// make("td", {class: "number"}, "text", element, ...): text stays text, whatever it holds.
function make(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function draw(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// A name that may go on in the next line after each underscore and slash.
function breakable(name) {
  return name.split(/(?<=[_/])/).flatMap((part, place) => (place ? [make("wbr"), part] : [part]));
}

// The heading of a row: its method, and below it the model, as a link, and the adapter.
function naming(row, href, ...more) {
  const small = make("small", null, make("a", { href }, ...breakable(row.model)));
  if (row.adapter) small.append(" + ", ...breakable(row.adapter));
  return make("th", { scope: "row" }, row.label, small, ...more);
}

function options(select, values, chosen) {
  select.replaceChildren(...values.map(([value, text]) =>
    make("option", { value, selected: value === chosen }, text)));
}

function describe(row) {
  const parts = [row.label, row.model, row.adapter, row.setting]; // a narrow field shows the first
  return parts.filter(Boolean).join(" · ");
}

// "#a=1&b=2", which stays in the address of a page opened from a file.
function readHash() {
  return new URLSearchParams(location.hash.slice(1));
}

function writeHash(values) {
  const given = Object.entries(values).filter(([, value]) => value !== "" && value !== null);
  const text = new URLSearchParams(given).toString();
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}
