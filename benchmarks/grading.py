"""How well the string graders agree with people: Cohen's kappa on human judgements of answers.

    python benchmarks/grading.py tests/data/graded_pairs.jsonl EVOUNA/NQ.json EVOUNA/TQ.json

Two kinds of file are read. JSON lines with ``rule``, ``answer``, ``gold``, ``same`` are pairs as in
``tests/data``. A JSON list is EVOUNA (Wang et al. 2023, *Evaluating Open-QA Evaluation*, NeurIPS;
github.com/wangcunxiang/QA-Eval, Apache-2.0): answers of five models to Natural Questions and
TriviaQA, each judged by a person. Questions that its authors call improper are left out; FiD
answers in a few words, the others in sentences.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from sklearn.metrics import cohen_kappa_score

from calib_metrics.text.squad import normalize_answer
from harness_tasks.elicitation.grading import GRADERS

SHORT, LONG = ("fid",), ("gpt35", "chatgpt", "gpt4", "newbing")


class Judged(NamedTuple):
    rule: str
    answer: str
    accepted: list[str]
    correct: bool


def squad_contains(answer: str, accepted: Sequence[str]) -> bool:
    """Whether an accepted answer is a run of words in `answer`, both normalised as SQuAD does."""
    words = f" {normalize_answer(answer)} "
    golds = [normalize_answer(gold) for gold in accepted]
    return any(f" {gold} " in words for gold in golds if gold)


def read_pairs(file: Path) -> dict[str, list[Judged]]:
    """The pairs of a JSON-lines file, under their rule."""
    groups: dict[str, list[Judged]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        judged = Judged(row["rule"], row["answer"], [row["gold"]], row["same"])
        groups.setdefault(f"pairs, {row['rule']}", []).append(judged)
    return groups


def read_evouna(file: Path) -> dict[str, list[Judged]]:
    """EVOUNA's answers in a few words and in sentences."""
    rows = json.loads(file.read_text(encoding="utf-8"))
    groups: dict[str, list[Judged]] = {"few words": [], "sentences": []}
    for row in rows:
        if row["improper"] or not row["golden_answer"]:
            continue
        golds = [gold for gold in row["golden_answer"].split("/") if gold.strip()]
        for name, models in zip(groups, (SHORT, LONG), strict=True):
            for model in models:
                answer, verdict = row.get(f"answer_{model}"), row.get(f"judge_{model}")
                if answer is not None and verdict is not None:
                    rule = "exact" if models == SHORT else "contains"
                    groups[name].append(Judged(rule, answer, golds, bool(verdict)))
    return groups


def report(name: str, judged: Sequence[Judged]) -> None:
    """Print a table of the graders: kappa, and how often they err on either side."""
    rule = judged[0].rule
    graders: dict[str, Callable[[str, Sequence[str]], bool]] = {
        "squad": GRADERS["squad"], "triviaqa": GRADERS["triviaqa"],
    }  # fmt: skip
    if rule == "contains":
        graders = {"squad, contained": squad_contains}
    graders[rule] = GRADERS[rule]
    people = [each.correct for each in judged]
    print(f"\n{name}: {len(judged)} answers, {sum(people)} of them correct\n")
    print("| grading | kappa | wrong, graded correct | correct, graded wrong |")
    print("|---|--:|--:|--:|")
    for label, grade in graders.items():
        ours = [grade(each.answer, each.accepted) for each in judged]
        lenient = sum(mine and not theirs for mine, theirs in zip(ours, people, strict=True))
        strict = sum(theirs and not mine for mine, theirs in zip(ours, people, strict=True))
        print(f"| {label} | {cohen_kappa_score(people, ours):.3f} | {lenient} | {strict} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, help="JSON lines of pairs, or EVOUNA's JSON")
    for file in parser.parse_args().files:
        groups = (read_pairs if file.suffix == ".jsonl" else read_evouna)(file)
        for name, judged in groups.items():
            report(f"{file.name}, {name}", judged)


if __name__ == "__main__":
    main()
