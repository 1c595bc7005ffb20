"""Synthetic stores of entries for tests and benchmarks; all from a seed."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from calib_leaderboards.store.entry import Entry, KeptSamples, entry_to_json
from calib_leaderboards.store.paths import entry_path, samples_path
from calib_leaderboards.store.samples import Samples, pack_samples

METHODS = {
    "likelihood": "Likelihood",
    "zero_shot_classifier": "Zero-Shot Classifier",
    "verbalized": "Verbalized",
    "sampling": "Sampling",
    "question_only": "Question only",
}
HIGHER = {
    "acc": True,
    "brier_skill": True,
    "aurc": False,
    "ece": False,
    "auroc": True,
    "brier": False,
    "answered": True,
}


class _Samples(Samples):
    """Samples that a cache can hold: each is like no other."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def make_samples(methods: list[str], questions: int, seed: int) -> Samples:
    """Answers of which about 45 % are right, and confidences that know something about it."""
    rng = np.random.default_rng(seed)
    correct = (rng.random(questions) < 0.45).astype(float)
    confidence = {
        name: np.round(np.clip(rng.normal(0.4 + 0.2 * correct, 0.2), 0, 1), 3) for name in methods
    }
    names = [f"q{i:04d}" for i in range(questions)]
    return _Samples(
        ids=tuple(names),
        questions=tuple(_sha(name)[:16] for name in names),
        answers=tuple(_sha(f"{name} {seed}")[:16] for name in names),
        correct=correct,
        confidence=confidence,
        values={},
    )


def samples_with(correct: Any, confidence: dict[str, Any]) -> Samples:
    """Samples of these columns."""
    names = tuple(f"q{i:04d}" for i in range(len(correct)))
    hashes = tuple(_sha(name)[:16] for name in names)
    columns = {name: np.asarray(values, float) for name, values in confidence.items()}
    return _Samples(names, hashes, hashes, np.asarray(correct, float), columns, {})


def make_stock_samples(name: str, questions: int, seed: int) -> Samples:
    """A number per question for the score "metric,filter" of a task without confidences."""
    values = np.random.default_rng(seed).random(questions)
    ids = tuple(str(i) for i in range(questions))
    return _Samples(ids, tuple(_sha(i)[:16] for i in ids), None, None, {}, {name: values})


def make_entry(
    *,
    model: str = "org/one",
    task: str = "calib_worldfacts",
    methods: dict[str, dict[str, tuple[float | None, float | None, float | None]]],
    adapter: str | None = None,
    setting: str = "3-shot",
    parameters: int | None = 135_000_000,
    source: str = "calibench",
    samples: Samples | None = None,
    higher: dict[str, bool | None] | None = None,
    label: dict[str, str] | None = None,
    command: str | None = None,
) -> tuple[Entry, bytes | None]:
    """An entry with the given (value, low, high) by method and metric, and its packed samples."""
    n = len(samples.ids) if samples else 796
    sha = "0" * 64
    fields: dict[str, Any] = {
        "format": "calibench-entry/1",
        "model": {
            "name": model,
            "revision": None,
            "sha": None,
            "parameters": parameters,
            "dtype": "bfloat16",
            "adapter": adapter
            and {
                "name": adapter,
                "revision": None,
                "sha256": None,
                "use": "peft",
            },
        },
        "task": {
            "name": task,
            "version": "1.0",
            "split": "test",
            "form": "generate_until",
            "source": source,
        },
        "setting": {
            "slug": setting,
            "num_fewshot": 3,
            "chat_template": False,
            "system_prompt": False,
            "answers": "frozen" if "frozen-" in setting else "own",
        },
        "n": n,
        "scores": [
            _score(method, scores, n, samples, {**HIGHER, **(higher or {})}, label or {})
            for method, scores in methods.items()
        ],
        "provenance": {
            "note": None,
            "command": command or f"lm_eval run --model hf --model_args pretrained={model}",
            "backend": "hf",
            "model_args": {"pretrained": model},
            "device": "cpu",
            "batch_size": "32",
            "seeds": {"random_seed": 0},
            "versions": {"lm_eval": "0.4.13"},
            "hardware": {"cpu": "a processor"},
            "date": "2026-01-02",
            "wall_time_seconds": 61.0,
            "prompts_sha256": sha,
            "chat_template_sha": None,
            "system_instruction_sha": None,
            "data_fingerprint": _sha(task),
            "answers_fingerprint": None,
            "results": {"file": "results.json", "sha256": sha},
            "samples": {"file": "samples.jsonl", "sha256": sha, "rows": n},
        },
        "samples": {"file": None, "sha256": None},
    }
    entry = Entry.model_validate(fields)
    if samples is None:
        return entry, None
    packed, digest = packed_once(samples)
    kept = KeptSamples(file=samples_path(entry_path(entry)).name, sha256=digest)
    return entry.model_copy(update={"samples": kept}), packed


@functools.lru_cache(maxsize=16)
def packed_once(samples: Samples) -> tuple[bytes, str]:
    """The packed samples and their sha256."""
    packed = pack_samples(samples)
    return packed, hashlib.sha256(packed).hexdigest()


def put(store: Path, made: tuple[Entry, bytes | None]) -> Path:
    """Write an entry and its samples where the store has them; return the entry's file."""
    entry, packed = made
    file = store / entry_path(entry)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(entry_to_json(entry))
    if packed is not None:
        samples_path(file).write_bytes(packed)
    return file


def write_store(
    store: Path, *, models: int, tasks: int, methods: int = 1, questions: int = 40
) -> list[Path]:
    """A store of models x tasks entries with samples; a third of the models have an adapter."""
    names = list(METHODS)[:methods]
    rng = np.random.default_rng(0)
    # The same few samples again and again: making them is not what is measured.
    kept = [make_samples(names, questions, seed) for seed in range(8)]
    files = []
    for i in range(models):
        for j in range(tasks):
            scores = {}
            for name in names:
                ece, auroc, brier = 0.4 * rng.random(), 0.4 + 0.5 * rng.random(), rng.random() / 3
                skill = 1 - brier / (0.45 * 0.55)
                scores[name] = {
                    "acc": (0.45, 0.42, 0.48),
                    "brier_skill": (skill, skill - 0.05, skill + 0.05),
                    "aurc": (0.4, 0.37, 0.43),
                    "ece": (ece, ece - 0.02, ece + 0.03),
                    "auroc": (auroc, auroc - 0.03, auroc + 0.03),
                    "brier": (brier, brier - 0.01, brier + 0.01),
                    "answered": (1.0, 1.0, 1.0),
                }
            files.append(
                put(
                    store,
                    make_entry(
                        model=f"org{i % 40}/model-{i:03d}",
                        task=f"calib_task_{j}",
                        methods=scores,
                        adapter="tuned" if i % 3 == 0 else None,
                        parameters=10**6 * (100 + 37 * i),
                        samples=kept[(i + j) % len(kept)],
                    ),
                )
            )
    return files


@functools.lru_cache(maxsize=64)
def charts_of(samples: Samples, method: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reliability bins and risk-coverage curve of a method."""
    edges = [i / 10 for i in range(11)]
    given = ~np.isnan(samples.confidence[method])
    confidence, correct = samples.confidence[method][given], samples.correct[given]
    index = np.minimum((confidence * 10).astype(int), 9)
    count = np.bincount(index, minlength=10)
    means = [
        [float(column[index == k].mean()) if count[k] else None for k in range(10)]
        for column in (confidence, correct)
    ]
    reliability = {
        "lower": edges[:-1],
        "upper": edges[1:],
        "count": count.tolist(),
        "confidence": means[0],
        "accuracy": means[1],
    }
    wrong = 1 - correct[np.argsort(-confidence, kind="stable")]
    risk = np.cumsum(wrong) / np.arange(1, len(wrong) + 1)
    chosen = np.unique(np.linspace(0, len(wrong) - 1, 101).astype(int))
    curve = {
        "coverage": ((chosen + 1) / len(wrong)).tolist(),
        "risk": risk[chosen].tolist(),
    }
    return reliability, curve


def _score(
    method: str,
    scores: dict[str, tuple[float | None, float | None, float | None]],
    n: int,
    samples: Samples | None,
    higher: dict[str, bool | None],
    label: dict[str, str],
) -> dict[str, Any]:
    known = samples is not None and method in samples.confidence
    reliability, curve = charts_of(samples, method) if known else (None, None)
    return {
        "method": method,
        "label": label.get(method) or METHODS.get(method, method),
        "elicitation": "",
        "n": n,
        "n_missing": 0,
        "metrics": {
            name: {
                "value": value,
                "low": low,
                "high": high,
                "stderr": None,
                "higher_is_better": higher.get(name),
                "signature": f"{name}|conf:{method}|n:{n}|boot:1000|seed:0",
            }
            for name, (value, low, high) in scores.items()
        },
        "reliability": reliability,
        "risk_coverage": curve,
        "cost": {"requests_per_question": 2.0},
    }


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
