"""Runs of lm-eval's own kinds of multiple-choice task, with a model that hashes its prompts."""

import json

from lm_eval import simple_evaluate
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

from helpers.task_runs import Hashed, number

SUBJECTS = ("anatomy", "ethics")
WORDS = ("Ja", "größer", "日本語の答え", "a rather long option", "x")


def letters_row(i):
    return {"q": f"What is {i}?", "subject": SUBJECTS[i % 2], "gold": number("gold", i) % 4}


def texts_row(i):
    """Three to five options of unequal length, in characters and more so in bytes."""
    options = [f"{word} {i}" for word in WORDS[: 3 + i % 3]]
    return {"q": f"Which is {i}?", "options": options, "gold": number("gold", i) % len(options)}


def contexts_row(i):
    return {"before": ["Ann of", "Bea of"], "after": f"{i} smiled.", "place": number(i) % 2}


def task(name, folder, row, count, **config):
    data = folder / f"{name}.jsonl"
    data.write_text("".join(json.dumps(row(i)) + "\n" for i in range(count)), encoding="utf-8")
    metrics = config.pop("metrics")
    return {
        "task": name,
        "dataset_path": "json",
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{q}}",
        "doc_to_target": "gold",
        "dataset_kwargs": {
            "data_files": {"test": str(data)},
            "cache_dir": str(folder / "cache" / name),
        },
        "metric_list": [{"metric": metric} for metric in metrics],
        **config,
    }


def evaluate(folder):
    """Return lm-eval's results, with the samples as they are before it turns them into text."""
    letters = {"doc_to_choice": ["A", "B", "C", "D"], "metrics": ["acc"]}
    exam = {
        "group": "exam",
        "task": ["exam_one", "exam_two"],
        "aggregate_metric_list": [{"metric": "acc", "weight_by_size": True}],
    }
    files = {
        "exam": exam,
        "exam_one": task("exam_one", folder, letters_row, 30, **letters),
        "exam_two": task("exam_two", folder, lambda i: letters_row(i + 100), 50, **letters),
    }
    (folder / "tasks").mkdir()
    for name, config in files.items():  # JSON is YAML
        (folder / "tasks" / f"{name}.yaml").write_text(json.dumps(config), encoding="utf-8")
    texts = task(
        "texts",
        folder,
        texts_row,
        60,
        doc_to_choice="options",
        metrics=["acc", "acc_norm", "acc_bytes"],
    )
    contexts = task(
        "contexts",
        folder,
        contexts_row,
        40,
        doc_to_text=lambda doc: doc["place"],
        doc_to_choice=lambda doc: doc["before"],
        doc_to_target=lambda doc: doc["after"],
        metrics=["acc"],
    )
    manager = TaskManager(include_path=str(folder / "tasks"), include_defaults=False)
    tasks = ["exam", texts, contexts]
    return simple_evaluate(Hashed(), tasks=tasks, task_manager=manager, bootstrap_iters=0)


def save(results, folder):
    """Write what `lm_eval run --output_path --log_samples` does; return the folder of the files."""
    results = dict(results)
    samples = json.loads(json.dumps(results.pop("samples"), default=str))
    tracker = EvaluationTracker(output_path=str(folder))
    tracker.general_config_tracker.model_name_sanitized = "hashed"
    tracker.save_results_aggregated(results=results, samples=samples)
    for name in results["configs"]:
        tracker.save_results_samples(task_name=name, samples=samples[name])
    return folder / "hashed"
