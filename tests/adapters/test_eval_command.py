"""`calibench eval`: lm-eval's command with the back end calib-hf and these tasks."""

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import lm_eval.tasks
import pytest
from lm_eval.api.registry import get_model
from lm_eval.tasks import TaskManager

import calibench.cli
from calib_adapters.serving.evaluate import listed
from calib_adapters.serving.model import CalibHFLM
from helpers.adapters_common import tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, embedded_model_path):
    """The tiny model, whose answers end."""
    return tiny_model(tmp_path_factory.mktemp("tiny"), embedded_model_path, line_ends=5.0)


def test_the_command_is_lm_evals_with_this_model_and_these_tasks(
    tiny, adapters, tmp_path, monkeypatch
):
    arguments = [
        "--model",
        "calib-hf",
        "--tasks",
        "calib_worldfacts",
        "--limit",
        "2",
        "--device",
        "cpu",
        "--model_args",
        f"pretrained={tiny},dtype=float32,confidence_adapter={adapters[0]}",
        "--metadata",
        json.dumps({"methods": ["zero_shot_classifier"]}),
        "--output_path",
        str(tmp_path),
        "--log_samples",
    ]
    monkeypatch.setattr("sys.argv", ["calibench", "eval", *arguments])
    calibench.cli.main()
    (file,) = tmp_path.rglob("results_*.json")
    results = json.loads(file.read_text())
    assert results["config"]["model"] == "calib-hf"
    assert results["config"]["model_args"]["confidence_adapter"] == adapters[0]
    assert len(list(tmp_path.rglob("samples_calib_worldfacts_*.jsonl"))) == 1


@pytest.mark.parametrize(
    "names",
    [
        ["calib_worldfacts", "calib_worldfacts_mc"],
        ["calib_worldfacts_all", "calib_gsm8k"],
        ["calibration"],
        ["calib_mmlu_*", "calib_worldfacts"],
    ],
)
def test_tasks_groups_and_patterns_of_ours_do_not_make_lm_eval_list_its_own(names):
    before = TaskManager.__init__
    with listed(names):
        assert TaskManager().all_tasks == []
    assert TaskManager.__init__ is before


@pytest.mark.parametrize(
    "names",
    [
        ["calib_worldfacts", "hellaswag"],
        ["calib_alignment"],  # a group of ours with members of lm-eval's
        ["calib_*"],  # that group is among them
        ["calib_no_such_task"],  # lm-eval says so, and what it has
        ["calib_nothing_*"],
        ["*"],
        [],
    ],
)
def test_lm_eval_lists_its_own_tasks_where_one_may_be_named(names):
    before = TaskManager.__init__
    with listed(names):
        assert TaskManager.__init__ is before


def test_no_task_of_lm_evals_own_is_named_like_ours():
    """Their names stand in these files; to list them takes lm-eval nine seconds."""
    files = [*Path(lm_eval.tasks.__file__).parent.rglob("*yaml")]
    assert len(files) > 10_000
    for file in files:
        assert not re.search(rb"\bcalib", file.read_bytes()), file


@pytest.mark.parametrize("body", ["pass", "raise ImportError"])
def test_garbage_is_collected_again_after_the_imports(body):
    code = (
        "import gc, calibench.options\n"
        "try:\n"
        f"    with calibench.options.starting(): assert not gc.isenabled(); {body}\n"
        "except ImportError: pass\n"
        "print(gc.isenabled())"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "True\n"


def test_the_entry_point_for_lm_eval_names_the_registered_back_end():
    (point,) = (
        point
        for point in metadata.entry_points(group="lm_eval.models")
        if point.dist.name == "calibench"
    )
    assert point.load() is CalibHFLM is get_model(point.name)
