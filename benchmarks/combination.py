"""What a combination of likelihood and Fine-Tuned brings, on the published samples of WorldFacts.

    python benchmarks/combination.py

Reads the two entries of the same answers from leaderboards/results, for the test split and for
test_ood, whose relations never occur in the others. On test the combination is cross-validated over
relations; for test_ood it is fitted on all of test.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

import calib_metrics
from calib_metrics.combination import cross_validate, fit

ENTRIES = Path(__file__).parents[1] / "leaderboards/results/SmolLM2-135M-Instruct"
COLUMNS = {"likelihood": ("main", "likelihood"), "Fine-Tuned": ("tuned", "zero_shot_classifier")}
METRICS = ("ece", "auroc", "brier")


def read(task: str, tuned: str):
    """Ids, confidences by column, and grades of the answers that both entries judge."""
    files = {
        "main": f"main/{task}--3-shot",
        "tuned": f"worldfacts_lora_prompt/{task}--3-shot_{tuned}",
    }
    rows = {}
    for name, file in files.items():
        with gzip.open(ENTRIES / f"{file}.samples.jsonl.gz", "rt") as lines:
            rows[name] = {row["id"]: row for row in map(json.loads, lines)}
    main, other = rows["main"], rows["tuned"]
    alike = all(other[id]["answer_sha256"] == row["answer_sha256"] for id, row in main.items())
    if main.keys() != other.keys() or not alike:
        raise SystemExit(f"The entries of {task} are not about the same answers.")
    ids = sorted(main)
    confidences = {
        name: np.array([rows[entry][id]["confidence"][method] for id in ids])
        for name, (entry, method) in COLUMNS.items()
    }
    return ids, confidences, np.array([main[id]["correct"] for id in ids])


def show(name: str, confidence, correct) -> None:
    found = calib_metrics.score(confidence, correct, METRICS)
    cells = [f"{each.value:.3f} ({each.low:.3f}–{each.high:.3f})" for each in found.values()]
    print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    ids, confidences, correct = read("calib_worldfacts", "frozen-168c0c13")
    far_ids, far, far_correct = read("calib_worldfacts_ood", "frozen-b88b7840")
    relations = [id.partition(":")[0] for id in ids]
    print("| | ECE | AUROC | Brier |\n|---|---|---|---|")
    for name, column in confidences.items():
        show(f"test, {name}", column, correct)
    unseen = cross_validate(confidences, correct, groups=relations)
    show("test, combined, relations not seen", unseen, correct)
    combination = fit(confidences, correct, rows=ids)
    for name, column in far.items():
        show(f"test_ood, {name}", column, far_correct)
    show("test_ood, combined, fitted on test", combination.apply(far, rows=far_ids), far_correct)
    print(f"\n{combination.signature}")


if __name__ == "__main__":
    main()
