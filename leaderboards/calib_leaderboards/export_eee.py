"""Entries in the schema of Every Eval Ever, version 0.3.0, as its eval.schema.json defines it.

Source: https://github.com/evaleval/every_eval_ever. Only the aggregate file is written: the file of
single questions needs their text, which a store does not keep.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

from calib_leaderboards.store.entry import Entry, Metric, Score
from calib_leaderboards.store.paths import entry_path, slug
from calib_leaderboards.tables.words import TITLES
from calib_metrics.registry import METRICS

SCHEMA_VERSION = "0.3.0"
COLLECTION = "calibench"


def _bound(limit: float) -> int | float | str:
    """A bound as the schema writes it: a whole number where it is one, or "Infinity"."""
    if math.isinf(limit):
        return "Infinity" if limit > 0 else "-Infinity"
    return int(limit) if limit.is_integer() else limit


# The least and greatest value of each metric; unknown for a task's own metrics.
_RANGE = {
    name: tuple(_bound(limit) for limit in (metric.lowest, metric.highest))
    for name, metric in METRICS.items()
}


def eee_files(entries: Iterable[Entry]) -> Iterator[tuple[str, bytes]]:
    """(path, JSON) of each entry: data/calibench/DEVELOPER/MODEL/UUID.json.

    Scores that are undefined are left out, since the schema wants a number; so are those for which
    neither the metric nor the task says which direction is better. The UUID is made from the
    entry's path, so that an entry keeps its file.
    """
    for entry in entries:
        record = eee_record(entry)
        if not record["evaluation_results"]:
            continue
        developer, _, name = entry.model.name.rpartition("/")
        text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        digest = hashlib.sha256(str(entry_path(entry)).encode()).digest()
        number = uuid.UUID(bytes=digest[:16], version=4)
        folder = f"data/{COLLECTION}/{slug(developer or 'unknown')}/{slug(name)}"
        yield f"{folder}/{number}.json", text.encode("utf-8")


def eee_record(entry: Entry) -> dict[str, Any]:
    """One entry as a record of the schema. The time of retrieval is that of the evaluation."""
    model, origin = entry.model, entry.provenance
    when = _epoch(origin.date)
    developer, _, _ = model.name.rpartition("/")
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"{entry.task.name}/{entry_path(entry).with_suffix('')}/{when}",
        **({"evaluation_timestamp": when} if origin.date else {}),
        "retrieved_timestamp": when,
        "source_metadata": {
            "source_name": "calibench leaderboard",
            "source_type": "evaluation_run",
            "source_organization_name": "calibench",
            "evaluator_relationship": "other",
        },
        "eval_library": {
            "name": "lm_eval",
            "version": origin.versions.get("lm_eval") or "unknown",
            "additional_details": _texts(
                {f"{name}_version": value for name, value in origin.versions.items()}
            ),
        },
        "model_info": {
            "name": model.name,
            "id": model.name,
            **({"developer": developer} if developer else {}),
            **({"inference_engine": {"name": origin.backend}} if origin.backend else {}),
            "additional_details": {
                "deployment_type": "unknown",
                "model_availability": "unknown",
                **_texts(
                    {
                        "revision": model.revision,
                        "sha": model.sha,
                        "dtype": model.dtype,
                        "parameters": model.parameters,
                        **(
                            {
                                f"adapter_{key}": value
                                for key, value in model.adapter.model_dump().items()
                            }
                            if model.adapter
                            else {}
                        ),
                    }
                ),
            },
        },
        "evaluation_results": [
            _result(entry, score, name, metric, when)
            for score in entry.scores
            for name, metric in score.metrics.items()
            if metric.value is not None and metric.higher_is_better is not None
        ],
    }


def _result(entry: Entry, score: Score, name: str, metric: Metric, when: str) -> dict[str, Any]:
    origin, setting = entry.provenance, entry.setting
    low, high = _RANGE.get(name, (None, None))
    return {
        "evaluation_result_id": f"{entry.task.name}/{score.method}/{name}",
        "evaluation_name": entry.task.name,
        **({"evaluation_timestamp": when} if origin.date else {}),
        "source_data": {
            "dataset_name": entry.task.name,
            "source_type": "other",
            "additional_details": _texts(
                {
                    "task_version": entry.task.version,
                    "split": entry.task.split,
                    "questions": entry.n,
                    "fingerprint_sha256": origin.data_fingerprint,
                    "note": origin.note,
                }
            ),
        },
        "metric_config": {
            "evaluation_description": f"{TITLES.get(name, name)} of {score.label}",
            "metric_id": f"{COLLECTION}.{name}" if name in TITLES else name,
            "metric_name": TITLES.get(name, name),
            "metric_kind": name,
            "metric_parameters": {"method": score.method},
            "lower_is_better": not metric.higher_is_better,
            "score_type": "continuous",
            "min_score": low,
            "max_score": high,
            "additional_details": {"signature": metric.signature},
        },
        "score_details": {
            "score": metric.value,
            "details": _texts(
                {
                    "method": score.method,
                    "label": score.label,
                    "missing": score.n_missing,
                    "elicitation": score.elicitation or None,
                    "setting": setting.slug,
                    "num_fewshot": setting.num_fewshot,
                    "answers": setting.answers,
                }
            ),
            "uncertainty": _uncertainty(score, metric),
        },
        "generation_config": {
            "generation_args": {"execution_command": origin.command},
            "additional_details": _texts(
                {
                    "chat_template": setting.chat_template,
                    "system_prompt": setting.system_prompt,
                    "prompts_sha256": origin.prompts_sha256,
                    "batch_size": origin.batch_size,
                    "device": origin.device,
                    **origin.seeds,
                }
            ),
        },
    }


def _uncertainty(score: Score, metric: Metric) -> dict[str, Any]:
    found: dict[str, Any] = {"num_samples": score.n - score.n_missing}
    if resamples := re.search(r"\|boot:(\d+)", metric.signature):
        found["num_bootstrap_samples"] = int(resamples[1])
    if metric.stderr is not None:
        found["standard_error"] = {"value": metric.stderr, "method": "bootstrap"}
    if metric.low is not None and metric.high is not None:
        found["confidence_interval"] = {
            "lower": metric.low,
            "upper": metric.high,
            "confidence_level": 0.95,
            "method": "bootstrap",
        }
    return found


def _texts(values: dict[str, Any]) -> dict[str, str]:
    """The known values, as text: the schema allows nothing else there."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
        if value is not None
    }


def _epoch(date: str | None) -> str:
    """Seconds since 1970, as text, of the beginning of a day; "0" for an unknown one."""
    if date is None:
        return "0"
    return str(int(datetime.fromisoformat(date).replace(tzinfo=timezone.utc).timestamp()))
