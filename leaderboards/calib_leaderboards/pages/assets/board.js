// What both pages need: the rows of data.js as objects, and elements made without HTML text.
"use strict";

const ARROWS = new Map([[true, " ↑"], [false, " ↓"], [null, ""]]);
const MAIN = ["ece", "auroc", "brier", "acc"];
const SVG = "http://www.w3.org/2000/svg";

function readBoard(board) {
  const entries = board.entries.map(([model, adapter, group, setting, samples, key]) => ({
    model: board.models[model][0],
    page: board.models[model][1],
    size: board.models[model][2],
    sizeText: board.models[model][3],
    adapter: board.adapters[adapter],
    task: board.groups[group],
    setting: board.settings[setting],
    samples: samples === 1,
    key,
  }));
  const rows = board.rows.map(([entry, method, label, sanity, n, scores], number) => {
    const row = Object.create(entries[entry]);
    row.number = number;
    row.method = board.methods[method][0];
    row.id = `${row.key}.${board.methods[method][1]}`;
    row.label = board.labels[label];
    row.sanity = sanity === 1;
    row.n = n;
    row.scores = new Map(scores.map(([metric, value, low, high, rank]) =>
      [board.metrics[metric][0], { value, low, high, rank }]));
    return row;
  });
  const metrics = new Map(board.metrics.map(([name, title, higher]) =>
    [name, { name, title, higher, heading: title + ARROWS.get(higher) }]));
  return { rows, metrics, byId: new Map(rows.map((row) => [row.id, row])) };
}

function formatNumber(value) {
  if (value === null || value === undefined) return "undefined";
  if (Math.abs(value) < 100) return value.toFixed(3);
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}

function formatInterval(score) {
  if (score.low === null || score.high === null) return "";
  return `${formatNumber(score.low)}–${formatNumber(score.high)}`;
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

function options(select, values, chosen) {
  select.replaceChildren(...values.map(([value, text]) =>
    make("option", { value, selected: value === chosen }, text)));
}

function describe(row) {
  const parts = [row.model, row.adapter, row.label, row.setting];
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
