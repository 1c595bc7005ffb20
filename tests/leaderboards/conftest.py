"""Runs of lm-eval that the tests of the store read."""

import shutil
from pathlib import Path

import pytest

from helpers.chromium import Chromium, find_chromium
from helpers.gate_runs import METHOD, confidence_rows, model, run_gate, write_run
from helpers.site import at_tasks, made_up_site


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory):
    """A run of our tasks, open-ended and multiple choice, with the four methods of the default."""
    from helpers.store_runs import CHOICE, OURS, Stating, evaluate
    from helpers.task_runs import TASKS

    folder = tmp_path_factory.mktemp("ours")
    include = [TASKS / "nq_open", TASKS / "openbookqa"]
    return evaluate(folder, OURS, CHOICE, include=include, model=Stating(), metadata={"k": 3})


@pytest.fixture(scope="session")
def evaluated_stock(tmp_path_factory):
    """A run of tasks of lm-eval: several metrics, several filters, a group's subject, a class."""
    from helpers.store_runs import STOCK, evaluate

    folder = tmp_path_factory.mktemp("stock")
    parts = ["truthfulqa", "mmlu/default", "gsm8k", "squad_completion"]
    names = ["truthfulqa_mc1", "truthfulqa_mc2", "mmlu_anatomy", "gsm8k", "squad_completion"]
    return evaluate(folder, *names, include=[STOCK / part for part in parts])


@pytest.fixture
def ours(evaluated, tmp_path):
    """A copy of the run, to change."""
    return Path(shutil.copytree(evaluated, tmp_path / "run"))


@pytest.fixture
def baseline(tmp_path):
    """A baseline with samples, of one method."""
    confidence, correct = model()
    write_run(tmp_path / "base", confidence_rows({METHOD: confidence}, correct))
    file = tmp_path / "tiny.yaml"
    code, said = run_gate("--update", file, tmp_path / "base", "--samples", tmp_path / "samples")
    assert code == 0, said
    return file


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of a site that `made_up_site` describes."""
    return made_up_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def browser():
    """A running Chromium."""
    program = find_chromium()
    if program is None:
        pytest.skip("needs Chromium: install it, or name it in the variable CHROMIUM")
    running = Chromium(program)
    yield running
    running.close()


@pytest.fixture
def page(browser, site):
    """The browser at the tasks' page; a test fails if its pages report an error."""
    browser.problems.clear()
    browser.resize(1280, 900)
    at_tasks(browser, site)
    yield browser
    assert browser.problems == []
