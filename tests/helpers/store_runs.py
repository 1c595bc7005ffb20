"""Whole runs of lm-eval on made-up rows, in files, and changes to them."""

import gzip
import json
import shutil
import warnings
from pathlib import Path

import datasets
import lm_eval.tasks
import pytest
from lm_eval import simple_evaluate
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

from calib_leaderboards.store import add
from helpers.task_runs import ROWS, SPLITS, Hashed, number, run

STOCK = Path(lm_eval.tasks.__file__).parent
OURS, CHOICE = "calib_nq_open", "calib_openbookqa_mc"
FEW = {"resamples": 20}  # intervals are not under test where this is given
SQUAD = "hazyresearch/based-squad"
MODEL = {
    "model": "hf",
    "model_args": {"pretrained": "org/tiny", "dtype": "float32"},
    "model_dtype": "torch.float32",
    "model_num_parameters": 1234,
    "model_revision": "main",
    "model_sha": "abc",
}
ENVIRONMENT = "PyTorch version: 2.13.0+cpu\nCPU(s): 2\nModel name: Fast One"


class Stating(Hashed):
    """States a probability for three questions of four."""

    def reply(self, prompt):
        if not prompt.endswith("Probability:"):
            return super().reply(prompt)
        value = number(prompt)
        return f" {value % 101}%" if value % 4 else " Sure."


def squad_row(i):
    return {"doc_id": str(i), "text": f"Say what {i} is:\nIt", "value": ("right", "other")[i % 2]}


def made_up_rows(path, name=None, **_):
    """Instead of `datasets.load_dataset`: 24 made-up rows."""
    rows = [{**ROWS, SQUAD: squad_row}[path](number(name, i) % 1000) for i in range(24)]
    if path == "truthfulqa/truthful_qa":
        rows = [{**row, "mc2_targets": row["mc1_targets"]} for row in rows]
    return datasets.DatasetDict({split: datasets.Dataset.from_list(rows) for split in SPLITS})


def evaluate(folder, *tasks, include, model=None, config=None, **options):
    """Run tasks as `lm_eval run --output_path folder --log_samples` does; return the files' folder.

    config: changes to what is recorded of the model.
    """
    tracker = EvaluationTracker(output_path=str(folder / "results.json"))
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # made-up answers leave some scores undefined
        patch.setattr(datasets, "load_dataset", made_up_rows)
        results = run(*tasks, include=include, model=model, **{"limit": None, **options})
    results["config"] |= {**MODEL, **(config or {})}
    results |= {"pretty_env_info": ENVIRONMENT, "date": 1735786800.0}
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for task, rows in samples.items():
        tracker.save_results_samples(task_name=task, samples=rows)
    return folder


def named_run(folder, task):
    """A run of a person's own task, called `task`, in the files that lm-eval writes for it."""
    data = folder / "data.jsonl"
    data.write_text("".join(json.dumps({"q": f"Is {i}?", "gold": i % 2}) + "\n" for i in range(9)))
    config = {
        "task": task,
        "dataset_path": "json",
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{q}}",
        "doc_to_target": "gold",
        "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(folder / "c")},
        "doc_to_choice": ["yes", "no"],
        "metric_list": [{"metric": "acc"}],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
        manager = TaskManager(include_defaults=False)
        results = simple_evaluate(Hashed(), tasks=[config], task_manager=manager, bootstrap_iters=0)
    samples = results.pop("samples")
    tracker = EvaluationTracker(output_path=str(folder / "run"))
    tracker.general_config_tracker.model_name_sanitized = "hashed"
    tracker.save_results_aggregated(results=results, samples=samples)
    for name in results["configs"]:  # as `lm_eval run` does
        tracker.save_results_samples(task_name=name, samples=samples[name])
    return folder / "run"


def results_file(folder):
    (file,) = folder.glob("results_*.json")
    return file


def log_file(folder, task=OURS):
    return next(folder.glob(f"samples_{task}_2*.jsonl"))


def change_results(folder, change):
    """Let `change` edit the results of a run."""
    file = results_file(folder)
    results = json.loads(file.read_text(encoding="utf-8"))
    change(results)
    file.write_text(json.dumps(results), encoding="utf-8")
    return folder


def change_record(folder, line, **changes):
    """Edit our record in one line of the log of `OURS`."""
    file = log_file(folder)
    lines = file.read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[line - 1])
    record = json.loads(row["filtered_resps"][0]) | changes
    row["filtered_resps"][0] = json.dumps(record)
    lines[line - 1] = json.dumps(row)
    file.write_text("".join(part + "\n" for part in lines), encoding="utf-8")


def entry_of(path):
    return json.loads(path.read_text(encoding="utf-8"))


def kept_of(path):
    with gzip.open(path.with_name(path.name.replace(".json", ".samples.jsonl.gz")), "rt") as lines:
        return [json.loads(line) for line in lines]


def tree(folder):
    """Every file below a folder, hidden ones too, and its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def of_task(paths, task):
    (path,) = [path for path in paths if path.name.startswith(f"{task}--")]
    return path


def with_model(folder, target, **arguments):
    """A copy of a run that says it is of another model."""
    shutil.copytree(folder, target)
    changed = {"pretrained": "org/tiny", "dtype": "float32", **arguments}
    return change_results(target, lambda r: r["config"].update(model_args=changed))


def refused(run, store, message, error=ValueError, **options):
    """Adding the run is refused with a sentence, and nothing is written."""
    before = tree(store.parent)
    with pytest.raises(error, match=message) as caught:
        add([run], store, **FEW, **options)
    after = {name: content for name, content in tree(store.parent).items() if ".lock" not in name}
    assert after == {name: content for name, content in before.items() if ".lock" not in name}
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)
