// Differences between two methods on the same questions, with a paired bootstrap; no page in here.
"use strict";

const RESAMPLES = 2000;

// A small generator with a seed, so that everyone sees the same interval (mulberry32).
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

// A mean with weights that count how often each question was drawn.
function weightedMean(values, weights) {
  let sum = 0, total = 0;
  for (let i = 0; i < values.length; i += 1) {
    sum += weights[i] * values[i];
    total += weights[i];
  }
  return sum / total;
}

// Probability that a right answer has more confidence than a wrong one; ties count half.
// order: indices by confidence, ascending.
function weightedAuroc(confidence, correct, order, weights) {
  let below = 0, wins = 0, right = 0, wrong = 0;
  for (let i = 0; i < order.length;) {
    let rights = 0, wrongs = 0, j = i;
    for (; j < order.length && confidence[order[j]] === confidence[order[i]]; j += 1) {
      const weight = weights[order[j]];
      if (correct[order[j]] === 1) rights += weight; else wrongs += weight;
    }
    wins += rights * (below + wrongs / 2);
    below += wrongs;
    right += rights;
    wrong += wrongs;
    i = j;
  }
  return wins / (right * wrong); // NaN where all answers are right, or all wrong
}

// The bin [k / 10, (k + 1) / 10) of a confidence; the product only says which edge is nearest.
function widthBin(confidence) {
  const nearest = Math.round(confidence * 10);
  return nearest === 10 || confidence < nearest / 10 ? nearest - 1 : nearest;
}

// Mean gap between confidence and accuracy over ten bins of equal width, [0, 0.1) to [0.9, 1].
function weightedEce(confidence, correct, weights) {
  const gaps = new Float64Array(10);
  let total = 0;
  for (let i = 0; i < confidence.length; i += 1) {
    const bin = widthBin(confidence[i]);
    gaps[bin] += weights[i] * (confidence[i] - correct[i]);
    total += weights[i];
  }
  return gaps.reduce((sum, gap) => sum + Math.abs(gap), 0) / total;
}

function confidenceMeasures(side) {
  const { confidence, correct } = side;
  const order = [...confidence.keys()].sort((i, j) => confidence[i] - confidence[j]);
  const squares = confidence.map((c, i) => (c - correct[i]) ** 2);
  return new Map([
    ["brier_skill", (weights) => {
      const accuracy = weightedMean(correct, weights);
      return 1 - weightedMean(squares, weights) / (accuracy * (1 - accuracy));
    }],
    ["brier", (weights) => weightedMean(squares, weights)],
    ["auroc", (weights) => weightedAuroc(confidence, correct, order, weights)],
    ["ece", (weights) => weightedEce(confidence, correct, weights)],
    ["acc", (weights) => weightedMean(correct, weights)],
  ]);
}

// one, two: maps from a name to a function of weights. Returns, per name, both values, the
// difference two - one, and its 95 % percentile interval over resampled questions.
function pairedDifferences(one, two, n, seed = 0) {
  const names = [...one.keys()].filter((name) => two.has(name));
  const random = generator(seed);
  const drawn = new Map(names.map((name) => [name, []]));
  const weights = new Float64Array(n);
  for (let round = 0; round < RESAMPLES; round += 1) {
    weights.fill(0);
    for (let i = 0; i < n; i += 1) weights[Math.floor(random() * n)] += 1;
    for (const name of names) {
      const difference = two.get(name)(weights) - one.get(name)(weights);
      if (Number.isFinite(difference)) drawn.get(name).push(difference);
    }
  }
  weights.fill(1);
  return names.map((name) => {
    const [first, second] = [one.get(name)(weights), two.get(name)(weights)];
    const values = drawn.get(name).sort((i, j) => i - j);
    return { name, first, second, difference: second - first,
      low: quantile(values, 0.025), high: quantile(values, 0.975) };
  });
}

// Linear between the two nearest values, as NumPy's default.
function quantile(values, share) {
  if (!values.length) return null;
  const place = share * (values.length - 1), floor = Math.floor(place);
  const next = values[Math.min(floor + 1, values.length - 1)];
  return values[floor] + (place - floor) * (next - values[floor]);
}

// Error rate among the k most confident, for k = 1..n; questions of equal confidence together.
function riskCoverage(confidence, correct) {
  const order = [...confidence.keys()].sort((i, j) => confidence[j] - confidence[i]);
  const points = [];
  let wrong = 0;
  for (let i = 0; i < order.length; i += 1) {
    wrong += 1 - correct[order[i]];
    const last = i + 1 === order.length || confidence[order[i + 1]] !== confidence[order[i]];
    if (last) points.push([(i + 1) / order.length, wrong / (i + 1)]);
  }
  return points;
}
