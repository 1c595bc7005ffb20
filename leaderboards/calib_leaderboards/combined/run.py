"""Write combined confidences as a run of lm-eval: a results file, and the log of a task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calib_leaderboards.combined.columns import Columns, Floats, Logged
from calib_leaderboards.labels import COMBINED
from calib_metrics import lm_eval_hooks
from calib_metrics.combination import Combination
from calib_metrics.registry import NAMES
from harness_tasks.elicitation.logs import read_object
from harness_tasks.elicitation.records import FIELDS, Sample, read_log

# The sections of a results file that have an entry for each task.
_OF_TASKS = ("results", "configs", "versions", "n-shot", "higher_is_better", "n-samples")
# Fields that the record of a yes/no question has besides: the answer's prompt.
_KEPT = (*FIELDS, "context")


def run_files(
    folder: Path,
    task: str,
    used: Sequence[Logged],
    combination: Combination,
    columns: Columns,
    combined: Floats,
) -> dict[Path, bytes]:
    """Return the files of a run whose only method is `combined`, by their paths in `folder`.

    used: the run of each method of the combination. The first of them that has an adapter, else
    the first, supplies all that does not depend on the method: model, setting, questions, answers.
    Raises ValueError if they have several adapters, since a run names one model.
    """
    adapters = dict.fromkeys(each.run.adapters for each in used if each.run.adapters)
    if len(adapters) > 1:
        names = [adapter.name for each in adapters for adapter in each]
        raise ValueError(
            f"{task}: the methods were asked under several adapters ({', '.join(names)}), and a "
            "run is about one. Combine them as columns of a table."
        )
    lender = next((each for each in used if each.run.adapters), used[0])
    values = dict(zip(columns.ids, combined.tolist(), strict=True))
    parts = {
        key: {name: _or_none(column[at]) for name, column in columns.confidences.items()}
        for at, key in enumerate(columns.ids)
    }
    method = next(iter(lender.log.confidence))
    rows = [
        _row(sample, combination, values.get(sample.key), parts.get(sample.key, {}))
        for sample in read_log(lender.log.path)
        if sample.filter == method
    ]
    results = _results(lender, task, rows, combination)
    log = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return {
        folder / lender.run.path.name: (json.dumps(results, indent=2) + "\n").encode(),
        folder / lender.log.path.name: log.encode("utf-8", "surrogatepass"),
    }


def _row(
    sample: Sample, combination: Combination, value: float | None, parts: Mapping[str, Any]
) -> dict[str, Any]:
    assert sample.record is not None
    record = {key: sample.record[key] for key in _KEPT if key in sample.record}
    confidence = None if value is None else _or_none(value)
    grading = str(sample.record.get("signature") or "").rpartition("|grading:")[2]
    missing = [name for name, part in parts.items() if part is None]
    if sample.record["correct"] is None:
        reason = sample.record["reason"]
    else:
        reason = f"no confidence by {', '.join(missing)}" if missing else None
    record |= {
        "method": COMBINED,
        "confidence": confidence,
        "reason": reason,
        "signature": f"{combination.signature}|grading:{grading}",
        "parts": dict(parts),
    }
    row = {**sample.row, "filter": COMBINED}
    others = sample.row["filtered_resps"][1:]
    row["filtered_resps"] = [json.dumps(record, ensure_ascii=False), *others]
    for name in row["metrics"]:
        if name == "answered":
            row[name] = int(confidence is not None)
        elif isinstance(row.get(name), list):
            row[name] = [confidence, record["correct"]]
    return row


def _results(
    lender: Logged, task: str, rows: Sequence[dict[str, Any]], combination: Combination
) -> dict[str, Any]:
    """Return the lender's results with this task alone, and the scores of these rows."""
    content, _ = read_object(lender.run.path)
    results = {
        **content,
        **{key: {task: content[key][task]} for key in _OF_TASKS if task in content.get(key, {})},
    }
    results["group_subtasks"] = {}
    results.pop("groups", None)
    hashes = "".join(str(row[f"{of}_hash"]) for row in rows for of in ("doc", "prompt", "target"))
    if "task_hashes" in content:
        results["task_hashes"] = {task: hashlib.sha256(hashes.encode()).hexdigest()}
    config = dict(results["configs"][task])
    config["metadata"] = {**(config.get("metadata") or {}), COMBINED: combination.signature}
    results["configs"] = {task: config}
    results["results"] = {task: _scores(content["results"][task], lender, rows)}
    return results


def _scores(
    printed: Mapping[str, Any], lender: Logged, rows: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return the scores that lm-eval would print; those that are about the answers stay as is."""
    method = next(iter(lender.log.confidence))
    items = [row["ece"] for row in rows if isinstance(row.get("ece"), list)]
    answered = [row["answered"] for row in rows if "answered" in row]
    scores = {key: value for key, value in printed.items() if "," not in key}
    for key, value in printed.items():
        name, _, filter_ = key.partition(",")
        if filter_ != method:
            continue
        if name.removesuffix("_stderr") in NAMES and value != "N/A":
            kind = name.removesuffix("_stderr")
            if kind == "answered":
                of_answered = (lm_eval_hooks.mean_stderr, lm_eval_hooks.answered)
                value = of_answered[name == kind](answered)
            elif kind != "acc":
                value = getattr(lm_eval_hooks, name)(items)
        scores[f"{name},{COMBINED}"] = value
    return scores


def _or_none(value: float) -> float | None:
    return None if value != value else float(value)
