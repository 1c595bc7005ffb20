// Pictures of rows: bars with their intervals, and small reliability diagrams.
"use strict";

// items: {texts: [label, more...], score, strong}. A bar for each, with its interval as a whisker.
function drawBars(heading, items, { auroc }) {
  // Names begin and end with what tells them apart: the middle goes.
  const cut = (name) => (name.length <= 37 ? name : `${name.slice(0, 18)}…${name.slice(-18)}`);
  const tall = items.some(({ texts }) => texts.length > 1);
  const [left, width, step] = [250, 230, tall ? 36 : 26];
  const top = auroc ? 1
    : Math.max(0.1, ...items.map(({ score }) => Math.max(score.value ?? 0, score.high ?? 0)));
  const x = (value) => left + width * Math.min(Math.max(value / top, 0), 1);
  const height = 34 + step * items.length;
  const told = items.map(({ texts, score }) =>
    `${texts.join(" · ")} ${formatNumber(score.value)}`).join("; ");
  const svg = draw("svg", { viewBox: `0 0 532 ${height}`, width: 532, height, role: "img",
    "aria-label": `${heading}: ${told}` },
    draw("text", { class: "strong end", x: left - 8, y: 18 }, heading));
  items.forEach(({ texts, score, strong }, place) => {
    const y = 30 + step * place + (step - 26) / 2;
    const [label, ...others] = texts, more = others.join(" · ");
    svg.append(draw("text", { class: `end${strong ? " strong" : ""}`, x: left - 8,
      y: y + (more ? 9 : 15) }, label.length > 34 ? `${label.slice(0, 33)}…` : label,
      draw("title", null, texts.join(" · "))));
    if (more) {
      svg.append(draw("text", { class: "soft small end", x: left - 8, y: y + 23 }, cut(more),
        draw("title", null, more)));
    }
    if (score.value === null) {
      svg.append(draw("text", { class: "soft", x: left + 6, y: y + 15 }, "undefined"));
      return;
    }
    svg.append(draw("rect", { class: strong ? "main" : "bar", x: left, y: y + 3,
      width: x(score.value) - left, height: 17 }));
    if (score.low !== null && score.high !== null) {
      const [low, high] = [x(score.low), x(score.high)];
      svg.append(draw("path", { class: "line",
        d: `M${low},${y + 8}v7M${high},${y + 8}v7M${low},${y + 11.5}H${high}` }));
    }
    svg.append(draw("text", { x: left + width + 8, y: y + 16 }, formatNumber(score.value)));
  });
  if (auroc) {
    svg.append(draw("path", { class: "dash", d: `M${x(0.5)},24V${height - 4}` }),
      draw("text", { class: "soft mid", x: x(0.5), y: 18 }, "chance"));
  }
  return make("figure", null, svg);
}

// bins: [count, mean confidence, accuracy] of bins of equal width.
function drawReliability(name, bins) {
  const [left, base, size] = [26, 134, 124], most = Math.max(1, ...bins.map(([count]) => count));
  const svg = draw("svg", { viewBox: "0 0 160 166", width: 160, height: 166, role: "img",
    "aria-label": `Reliability of ${name}: ${bins.flatMap(([count, mean, share]) => (count
      ? [`confidence ${formatNumber(mean)}, accuracy ${formatNumber(share)}, ${count} answers`]
      : [])).join("; ")}` },
    draw("path", { class: "grid", d: `M${left},${base - size}h${size}v${size}h-${size}z` +
      `M${left},${base - size / 2}h${size}M${left + size / 2},${base}v-${size}` }));
  bins.forEach(([count, , share], place) => {
    if (!count) return;
    const wide = size / bins.length;
    svg.append(draw("rect", { class: "main", x: left + wide * place + 0.5,
      y: base - Math.max(size * share, 1), width: wide - 1, height: Math.max(size * share, 1),
      "fill-opacity": (0.25 + 0.75 * count / most).toFixed(2) }));
  });
  svg.append(draw("path", { class: "dash", d: `M${left},${base}l${size},-${size}` }));
  for (const share of [0, 0.5, 1]) {
    svg.append(
      draw("text", { class: "soft small mid", x: left + size * share, y: base + 13 }, String(share)),
      draw("text", { class: "soft small end", x: left - 4, y: base - size * share + 4 },
        String(share)));
  }
  svg.append(draw("text", { class: "soft small mid", x: left + size / 2, y: base + 27 },
    "confidence"));
  return svg;
}
