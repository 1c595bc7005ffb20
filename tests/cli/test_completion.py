"""What a shell offers to complete, without the imports that would make it wait."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import harness_tasks
from calib_adapters.training.recipe import shipped_recipes

TASKS = Path(harness_tasks.__file__).parent


def offered(*words, after=""):
    """What bash is offered for the last of these words, by the protocol that click documents."""
    line = ["calibench", *words]
    program = "import sys; from calibench.cli import cli; cli.main(prog_name='calibench')"
    if after:
        program = f"import atexit, sys; atexit.register(lambda: {after}); {program}"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True,
        env={**os.environ, "_CALIBENCH_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(line),
             "COMP_CWORD": str(len(words))},
    )  # fmt: skip
    assert not ended.stderr, ended.stderr
    return [line.partition(",")[2] for line in ended.stdout.splitlines() if line]


def test_recipes():
    assert offered("tune", "calibration_") == sorted(
        name for name in shipped_recipes() if name.startswith("calibration_")
    )


@pytest.mark.parametrize("words", [("eval", "--tasks"), ("prepare",)])
def test_tasks_are_those_of_the_files(words):
    class Loader(yaml.SafeLoader):
        """Takes `!function` as text."""

    Loader.add_constructor("!function", lambda loader, node: node.value)
    found = set()
    for file in TASKS.glob("*/*.yaml"):
        content = yaml.load(file.read_text(encoding="utf-8"), Loader)
        found |= {str(content.get(key)) for key in ("task", "group")}  # a list is of members
    names = sorted(name for name in found if name.startswith("calib_w"))
    assert "calib_worldfacts" in names and offered(*words, "calib_w") == names


def test_the_last_task_of_a_list_is_completed():
    assert "calib_boolq_mc,calib_worldfacts" in offered("eval", "--tasks", "calib_boolq_mc,calib_w")


def test_elsewhere_in_eval_nothing_is_offered():
    assert offered("eval", "--output_path", "calib_") == []


def test_nothing_large_is_imported():
    large = "[name for name in ('torch', 'numpy', 'lm_eval', 'yaml') if name in sys.modules]"
    assert offered("eval", "--tasks", "calib_w", after=f"print('plain,imported', *{large})")[
        -1
    ] == ("imported")
