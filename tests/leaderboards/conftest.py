"""Runs of lm-eval that the tests of the store read."""

import shutil
from pathlib import Path

import pytest


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
