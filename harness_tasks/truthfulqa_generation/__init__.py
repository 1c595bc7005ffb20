"""TruthfulQA: generated answers against true and false references, or for a judge."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import datasets

import harness_tasks.elicitation.response_cache  # noqa: F401  (the model is in the cache's keys)
from calib_metrics.text.rouge import rouge
from calib_metrics.text.translation import bleu
from calib_metrics.text.truthfulqa import truthfulness
from harness_tasks.elicitation.frozen import samples_file
from harness_tasks.elicitation.records import read_log

TASKS = ("calib_truthfulqa_gen", "truthfulqa_gen")

# lm-eval's name of a score, and its type of ROUGE.
ROUGE = {"rouge1": "rouge1", "rouge2": "rouge2", "rougeL": "rougeLsum"}


def process_results(doc: dict[str, Any], results: Sequence[str]) -> dict[str, float]:
    """BLEU and ROUGE (0 to 100) max, acc and diff of one answer, as lm-eval's `truthfulqa_gen`.

    Equal to its scores to the last digit, without the 1,000 resamples that it draws for the ROUGE
    of every reference, which take most of the time of a run.
    """
    answer = results[0]
    true, false = doc["correct_answers"], doc["incorrect_answers"]
    with warnings.catch_warnings():
        # BLEU of a reference such as "No." is 0, and so it is in lm-eval.
        warnings.simplefilter("ignore", UserWarning)
        alike = {each: _alike(answer, each) for each in (*true, *false)}
    return {
        f"{name}_{measure}": value
        for name in ("bleu", *ROUGE)
        for measure, value in truthfulness(
            lambda _, reference, name=name: alike[reference][name], answer, true, false
        )
        ._asdict()
        .items()
    }


def _alike(answer: str, reference: str) -> dict[str, float]:
    def sentences(text: str) -> str:
        return text.replace(" . ", ".\n")

    texts = [sentences(answer)], [[sentences(reference)]]
    by_type = rouge(*texts, tokenize="default", types=tuple(ROUGE.values()))
    found = {name: 100 * by_type[kind] for name, kind in ROUGE.items()}
    return {"bleu": bleu([answer], [[reference]], tokenize="intl").score, **found}


def answered(answers: str = "", **_: Any) -> datasets.DatasetDict:
    """Questions and answers of an earlier run of one of `TASKS`, from its logged samples.

    Raises:
        ValueError: `answers` is not given, or the log is damaged (see `read_log`).
        FileNotFoundError: it holds no such samples.
    """
    if not answers:
        raise ValueError(
            "Name the run whose answers are judged, made with --log_samples: "
            '--metadata \'{"answers": "runs/base"}\'.'
        )
    try:
        file = samples_file(answers, TASKS[0])
    except FileNotFoundError:
        file = samples_file(answers, TASKS[1])
    rows = []
    for row in (sample.row for sample in read_log(file)):
        # Answers to lm-eval's own prompt begin with "A:".
        answer = row["filtered_resps"][0].strip().removeprefix("A:").strip()
        rows.append({"question": row["doc"]["question"], "answer": answer})
    return datasets.DatasetDict(test=datasets.Dataset.from_list(rows))


def judged(doc: dict[str, Any], results: Sequence[tuple[float, bool]]) -> dict[str, float]:
    """lm-eval's `process_results` for a judge that continues with "yes" or "no".

    `yes`: 1 if "yes" is likelier; `yes_probability`: P(yes) / (P(yes) + P(no)).
    """
    (log_yes, _), (log_no, _) = results
    return {
        "yes": float(log_yes > log_no),
        "yes_probability": 1 / (1 + math.exp(min(log_no - log_yes, 700.0))),
    }
