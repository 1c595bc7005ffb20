"""Reads what lm-eval wrote: results_*.json files and the sample logs that lie beside them."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from harness_tasks.records import parse_record



class Sample(NamedTuple):
    """One answered question under one method; `confidence` is None where none was usable."""

    question: str
    answer: str
    correct: int
    confidence: float | None


@dataclass(frozen=True)
class SampleLog:
    """One samples_*.jsonl: for each method, the samples by question id.

    `signatures` says how each method asked ("k:10|weighting:count|..."), as the log states it.
    """

    path: Path
    sha256: str
    rows: int
    methods: dict[str, dict[str, Sample]]
    signatures: dict[str, str]

    @property
    def answered(self) -> dict[str, tuple[str, str, int]]:
        """(question, answer, correct) by id; all methods of a log share them."""
        return {key: row[:3] for key, row in next(iter(self.methods.values())).items()}


@dataclass(frozen=True)
class Run:
    """One results_*.json and, for each of its calibench tasks, the sample log."""

    path: Path
    sha256: str
    results: dict[str, Any]
    logs: dict[str, SampleLog]


def find_runs(paths: Sequence[Path]) -> list[Run]:
    """Read every run below the given folders.

    A run is a file results_<time>.json, at any depth, with samples_<task>_<time>.jsonl beside
    it. Tasks whose rows hold no calibench record (mmlu in the same run, say) are left out.
    Runs come back ordered by file name and content, whatever the order of `paths`.

    Raises FileNotFoundError for a folder that does not exist or holds no results, and
    ValueError for a file that cannot be used; both name the file.
    """
    files: dict[Path, Path] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            raise FileNotFoundError(
                f"'{path}' is not a folder; give the --output_path of an lm-eval run."
            )
        files.update((file.resolve(), file) for file in path.rglob("results_*.json"))
    if not files:
        names = ", ".join(f"'{path}'" for path in paths) or "an empty list"
        raise FileNotFoundError(
            f"No results_*.json below {names}; run lm_eval with --output_path and --log_samples."
        )
    runs = [_read_run(file) for file in files.values()]
    return sorted((run for run in runs if run.logs), key=lambda run: (run.path.name, run.sha256))


def _read_run(path: Path) -> Run:
    content = path.read_bytes()
    try:
        results = json.loads(content)
        tasks = sorted(set(results["results"]) & set(results["configs"]))  # groups have no config
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"'{path}' is not a whole lm-eval results file ({error!r}); "
            "run the evaluation again or remove the file."
        ) from error
    stamp = path.name[len("results_") : -len(".json")]
    logs = {}
    for task in tasks:
        name = re.sub(r"\W", "_", task)  # as lm-eval names the file
        log = path.with_name(f"samples_{name}_{stamp}.jsonl")
        if not log.is_file():
            raise FileNotFoundError(
                f"'{path}' has no sample log for {task} beside it ('{log.name}'), and scores are "
                "recomputed from samples; run lm_eval with --log_samples."
            )
        methods = _read_log(log)
        if methods is not None:
            logs[task] = methods
    return Run(path, hashlib.sha256(content).hexdigest(), results, logs)


def _read_log(path: Path) -> SampleLog | None:
    """The log, or None if it is another project's task (its rows hold no record of ours)."""
    content = path.read_bytes()
    methods: dict[str, dict[str, Sample]] = {}
    signatures: dict[str, str] = {}
    count = foreign = 0
    for where, row in _json_lines(path, content):
        record = parse_record(row)
        if record is None:
            foreign += 1
            continue
        count += 1
        method = str(row.get("filter"))
        samples = methods.setdefault(method, {})
        signatures.setdefault(method, str(record.get("signature") or ""))
        key = str(record["id"])
        if key in samples:
            raise ValueError(f"{where}: id '{key}' appears twice under one method.")
        samples[key] = _sample(where, record)
    if not methods:
        return None
    if foreign:
        raise ValueError(
            f"'{path}': {foreign} of {count + foreign} rows hold no calibench record in "
            "filtered_resps; the file mixes logs or was edited, run the evaluation again."
        )
    log = SampleLog(path, hashlib.sha256(content).hexdigest(), count, methods, signatures)
    first = next(iter(methods))
    for method, samples in methods.items():
        difference = describe_difference(
            log.answered, {key: row[:3] for key, row in samples.items()}
        )
        if difference:
            raise ValueError(
                f"'{path}': methods '{first}' and '{method}' were not asked about the same "
                f"answers ({difference}); is the file truncated?"
            )
    return log


def _json_lines(path: Path, content: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"'{path}', line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(
                f"{where}: not valid JSON ({error}); the file is truncated or damaged, "
                "run the evaluation again."
            ) from error
        if not isinstance(row, dict):
            raise ValueError(f"{where}: expected a JSON object, found {type(row).__name__}.")
        yield where, row


def _sample(where: str, record: dict[str, Any]) -> Sample:
    confidence, correct = record["confidence"], record["correct"]
    if confidence is not None:
        if isinstance(confidence, bool) or not isinstance(confidence, (int, float)):
            raise ValueError(f"{where}: confidence {confidence!r} is not a number or null.")
        if math.isnan(confidence):
            raise ValueError(
                f"{where}: confidence is NaN; a missing confidence must be null, with a reason."
            )
        if not 0 <= confidence <= 1:
            raise ValueError(f"{where}: confidence {confidence} is outside the range [0, 1].")
        confidence = float(confidence)
    if correct not in (0, 1):
        raise ValueError(f"{where}: correct is {correct!r}; it must be 0 or 1.")
    return Sample(str(record["question"]), str(record["answer"]), int(correct), confidence)


def describe_difference(
    one: dict[str, tuple[str, str, int]], other: dict[str, tuple[str, str, int]]
) -> str:
    """What differs between two sets of (question, answer, correct) by id; "" if nothing does."""
    missing = sorted(one.keys() ^ other.keys())
    if missing:
        return (
            f"{len(missing)} ids occur in only one of them, such as '{missing[0]}'; "
            f"{len(one)} against {len(other)} questions"
        )
    for place, name in enumerate(("question", "answer", "grade")):
        changed = sorted(key for key in one if one[key][place] != other[key][place])
        if changed:
            key = changed[0]
            return (
                f"the {name} differs for {len(changed)} ids, such as '{key}': "
                f"{one[key][place]!r} against {other[key][place]!r}"
            )
    return ""
