"""How often do the 95 % intervals hold the truth? python benchmarks/coverage.py

Draws many samples from populations whose true scores are known, scores each, and counts. ECE has
two truths: the population's, and what a sample of this size shows on average, which is higher.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from calib_metrics import auroc, brier, ece, score

SAMPLES, RESAMPLES, BINS = 1000, 1000, 10
METRICS = ("brier", "auroc", "ece")
# How often an answer of each confidence is right.
POPULATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "calibrated": lambda confidence: confidence,
    "overconfident": lambda confidence: 0.5 * confidence + 0.1,
}


def truths(share_right: Callable[[np.ndarray], np.ndarray]) -> dict[str, float]:
    """Scores of a population whose confidences are uniform, from two million answers."""
    rng = np.random.default_rng(1)
    confidence = rng.random(2_000_000)
    correct = rng.random(confidence.size) < share_right(confidence)
    values = {"brier": brier(confidence, correct), "auroc": auroc(confidence, correct)}
    # Bin by bin the mean gap is known exactly, so the plug-in's excess does not blur the truth.
    confidence.sort()
    start = np.searchsorted(confidence, np.arange(BINS) / BINS)
    gap = np.abs(np.add.reduceat(confidence - share_right(confidence), start))
    return values | {"ece": float(gap.sum() / confidence.size)}


def main() -> None:
    """Print a Markdown table, one row for each population, n and kind of interval."""
    print("| population | n | interval | Brier | AUROC | true ECE | mean ECE at this n |")
    print("|---|---:|---|---:|---:|---:|---:|")
    warnings.simplefilter("ignore")  # BCa is undefined for some ECEs, and then counts as a miss
    for name, share_right in POPULATIONS.items():
        truth = truths(share_right)
        for n in (100, 300, 1000):
            samples = []
            for seed in range(SAMPLES):
                rng = np.random.default_rng([seed, n])
                confidence = rng.random(n)
                samples.append((confidence, rng.random(n) < share_right(confidence)))
            mean_ece = float(np.mean([ece(*sample) for sample in samples]))
            targets = [
                ("brier", truth["brier"]),
                ("auroc", truth["auroc"]),
                ("ece", truth["ece"]),
                ("ece", mean_ece),
            ]
            for interval in ("percentile", "bca"):
                covered = np.zeros(len(targets))
                for seed, sample in enumerate(tqdm(samples, leave=False, file=sys.stderr)):
                    options = {"interval": interval, "resamples": RESAMPLES, "seed": seed}
                    found = score(*sample, METRICS, **options)
                    covered += [found[key].low <= true <= found[key].high for key, true in targets]
                shares = " | ".join(f"{share:.1%}" for share in covered / SAMPLES)
                print(f"| {name} | {n:,} | {interval} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
