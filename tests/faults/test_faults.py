"""Kills, a full disk, no permission to write, and too little memory, at moments from a seed.

The invariant, for every command that writes: **whole or absent, resumable, the same bytes.**

- After the fault, what the command publishes (its output folder, or each file of a store) is not
  there at all, or has every byte that a run without a fault gives it. What is unfinished is hidden:
  its name, or that of a folder above it, begins with a dot.
- The command never says that it succeeded (exit status 0) without the whole result.
- The same command, given again, succeeds; its result has the bytes of a run without a fault, and
  nothing else is left beside it.

Where bytes cannot be equal, what is compared is said at the case: training and evaluation write
down how long they took, and when.
"""

import json
import random
import re
import shutil
import sys
from typing import NamedTuple

import pytest

from calib_adapters.data.grade import grade
from helpers.adapters_common import RECIPE, tiny_model
from helpers.graded_runs import record
from helpers.graded_runs import write_run as write_graded_run

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="limits of memory and privileges are those of Linux"
)
if sys.platform == "linux":
    from helpers.faults import KINDS, run

SOME, MANY = 3, 60  # rounds of each command, always and every night
METHODS, QUESTIONS = ("likelihood", "zero_shot_classifier"), 20


class Case(NamedTuple):
    """A command, its inputs and what it publishes.

    Attributes:
        arguments: of `calibench`; paths are relative.
        inputs: folders to copy, by the name they get.
        published: files and folders.
        at_once: whether they appear together, or file by file.
        compared: makes of the files by name, as bytes, what must be equal.
        kept: names of files beside the result that may stay.
        once: whether it refuses to publish twice what is there already, whole.
    """

    arguments: tuple
    inputs: dict
    published: tuple
    at_once: bool = True
    compared: object = dict
    kept: tuple = ()
    once: bool = False


def _training(files):
    """All but how long it took, which several files say."""
    timed = ("training.json", "README.md", "training_log.json", "calibration.json")
    found = {name: content for name, content in files.items() if not name.endswith(timed)}
    for name in files.keys() - found.keys():
        found[name] = None  # it is there
        if name.endswith("calibration.json"):
            content = json.loads(files[name])
            content.pop("epochs")
            found[name] = content
    return found


def _model(files):
    """All but the times of the files, which the manifest has."""
    return {name: re.sub(rb'"mtime_ns": \d+', b"", content) for name, content in files.items()}


def _records(files):
    """The records of the samples, without rounding, and without when and how long."""
    found = {}
    for name, content in files.items():
        for line in content.splitlines() if "samples_" in name else ():
            row = json.loads(line)
            logged = json.loads(row["filtered_resps"][0])
            if logged["confidence"] is not None:
                logged["confidence"] = round(logged["confidence"], 4)
            found[row["filter"], row["doc_id"]] = logged
    return found


@pytest.fixture(scope="session")
def inputs(tmp_path_factory, embedded_model_path):
    """A graded run, a run with samples, a graded dataset and a tiny model."""
    from helpers.gate_runs import TASK, write_run

    root = tmp_path_factory.mktemp("inputs")
    rows = [record(f"Land {i}", split="train" if i < 16 else "validation", correct=i % 2,
                   answer="Paris" if i % 2 else "Rome") for i in range(24)]  # fmt: skip
    write_graded_run(root / "answers", rows)
    for task, name in ((TASK, "run"), (f"{TASK}_ood", "other")):
        rows = logged(task)
        write_run(root / name, rows, task=task, printed={f"acc,{each}": 0.5 for each in METHODS})
        (results,) = (root / name).glob("results_*.json")
        content = json.loads(results.read_text())
        content["n-samples"] = {task: {"original": QUESTIONS, "effective": QUESTIONS}}
        results.write_text(json.dumps(content))
    grade([root / "answers"], root / "graded")
    tiny_model(root / "tiny", embedded_model_path, line_ends=5.0)
    return root


def logged(task):
    """The rows of a confidence task's log."""
    return [
        {
            "doc_id": i, "filter": method, "doc_hash": f"{i:064x}", "metrics": [], "acc": i % 2,
            "doc": {"question": f"{i}?"}, "target": "a", "arguments": {}, "resps": [],
            "filtered_resps": [json.dumps({
                "task": task, "split": "test", "method": method, "question": f"{i}?",
                "answer": "a", "reason": None, "signature": "wording:yes_no", "id": f"q{i}",
                "correct": i % 2, "confidence": round(0.2 + 0.5 * (i % 2) + i / 100, 3),
            })],
        }
        for method in METHODS for i in range(QUESTIONS)
    ]  # fmt: skip


@pytest.fixture(scope="session")
def cases(inputs):
    run_of, model = {"run": inputs / "run"}, inputs / "tiny"
    evaluated = {"methods": ["zero_shot_classifier"]}
    return {
        "model": Case(("model",), {}, ("cache",), compared=_model),
        "grade": Case(
            ("grade", "answers", "-o", "graded"), {"answers": inputs / "answers"}, ("graded",),
            once=True,
        ),
        "tune": Case(
            ("tune", RECIPE, "optimiser.epochs=1", "optimiser.batch_size=20", "dtype=float32",
             "--model", str(model), "--data", "graded", "-o", "adapter"),
            {"graded": inputs / "graded"}, ("adapter",), compared=_training,
        ),
        "eval": Case(
            ("eval", "--model", "calib-hf", "--model_args", f"pretrained={model},dtype=float32",
             "--tasks", "calib_worldfacts", "--limit", "2", "--device", "cpu", "--batch_size", "1",
             "--log_samples", "--output_path", "out", "--metadata", json.dumps(evaluated)),
            {}, ("out",), at_once=False, compared=_records, kept=("cache",),
        ),
        "add": Case(
            ("leaderboard", "add", "run", "other", "--store", "store"),
            {**run_of, "other": inputs / "other"}, ("store",), at_once=False, once=True,
        ),
        "build": Case(
            ("leaderboard", "build", "run", "-o", "board"), run_of, ("board",), at_once=False
        ),
        "baseline": Case(
            ("gate", "--update", "base.yaml", "run", "--samples", "kept"), run_of,
            ("base.yaml", "kept"), at_once=False,
        ),
    }  # fmt: skip


@pytest.fixture(scope="session")
def unbroken(cases, tmp_path_factory):
    """What each command publishes without a fault, and in how many moments; made when asked for."""
    known = {}

    def of(name):
        if name not in known:
            folder = laid_out(cases[name], tmp_path_factory.mktemp(name) / "here")
            status, moments = run(cases[name].arguments, folder)
            assert status == 0, f"{name} ends with {status} without a fault"
            known[name] = published(cases[name], folder), moments
        return known[name]

    return of


def laid_out(case, folder):
    folder.mkdir()
    for name, source in case.inputs.items():
        shutil.copytree(source, folder / name)
    return folder


def published(case, folder):
    """The files that are not hidden, by name, as the case compares them."""
    files = {}
    for top in case.published:
        for path in [folder / top, *(folder / top).rglob("*")]:
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not any(part.startswith(".") for part in name.split("/")):
                files[name] = path.read_bytes()
    files = {name: content for name, content in files.items() if not name.endswith(".lock")}
    return case.compared(files)


def check_whole_or_absent(case, found, expected):
    if case.at_once:
        assert not found or found == expected
    for name, content in found.items():
        assert content == expected.get(name, content), f"{name} is not whole"


def check_nothing_left(case, folder):
    """Beside inputs and results nothing is there, but for locks that the next run takes."""
    allowed = {*case.inputs, *(name.split("/")[0] for name in case.published), *case.kept}
    left = {path.name for path in folder.iterdir() if not path.name.endswith(".lock")} - allowed
    parts = [path.name for path in folder.rglob("*") if path.name.endswith((".part", ".tmp"))]
    assert not left and not parts


def one_round(name, number, cases, unbroken, tmp_path):
    case, (expected, moments) = cases[name], unbroken(name)
    draw = random.Random(f"{name} {number}")
    kind, moment = KINDS[number % len(KINDS)], draw.randint(1, moments)
    at = f"{name}, round {number}: {kind} at {moment} of {moments}"
    folder = laid_out(case, tmp_path / f"{name}{number}")
    status, _ = run(case.arguments, folder, kind, moment)
    found = published(case, folder)
    check_whole_or_absent(case, found, expected)
    assert status != 0 or found == expected, f"{at}: said to have succeeded"
    status, _ = run(case.arguments, folder)
    done = case.once and found == expected
    assert status == int(done), f"{at}: given again, it ends with {status}"
    assert published(case, folder) == expected, at
    check_nothing_left(case, folder)
    shutil.rmtree(folder)


NAMES = ("model", "grade", "tune", "eval", "add", "build", "baseline")


@pytest.mark.parametrize("name", NAMES)
def test_whole_or_absent_resumable_and_the_same_bytes(name, cases, unbroken, tmp_path):
    few = 1 if name in ("tune", "eval", "build") else SOME  # these take seconds
    for number in range(few):
        one_round(name, number + 2 * NAMES.index(name), cases, unbroken, tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("name", NAMES)
def test_and_at_many_more_moments(name, cases, unbroken, tmp_path):
    for number in range(100, 100 + MANY):
        one_round(name, number, cases, unbroken, tmp_path)


def test_the_moments_are_those_at_which_files_change(cases, unbroken):
    """Else the rounds above would prove nothing: every command has several."""
    assert all(unbroken(name)[1] >= 3 for name in ("model", "grade", "add", "baseline"))
