"""Fixtures that several test files share.

What they need is imported inside them: tests of the metrics alone need neither torch nor lm-eval.
"""

import gc
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# No deadline: how long an example takes says more about the machine than about the code.
EXAMPLES = int(os.environ.get("CALIBENCH_EXAMPLES", "100"))
settings.register_profile("calibench", deadline=None, max_examples=EXAMPLES)
settings.load_profile("calibench")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect with the search for garbage switched off, and keep it from what is there afterwards.

    Modules are no garbage. To look through those of torch, transformers and lm-eval again and again
    takes a quarter of the time of their import, and as much of many a test.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


# The longest first, so that workers which take a file at a time end together.
LONGEST = (
    "cli/test_end_to_end.py", "adapters/test_fast_tasks.py", "adapters/test_fast_samples.py",
    "adapters/test_fast_fallback.py", "adapters/test_backend.py", "adapters/test_training_frame.py",
    "adapters/test_stated.py", "adapters/test_response_cache.py", "adapters/test_resume.py",
    "adapters/test_early_errors.py",
    "adapters/test_tune.py", "adapters/test_cogcalib.py", "adapters/test_fast_backend.py",
    "faults/test_faults.py", "methods/test_api_requests.py", "leaderboards/test_site_pages.py",
    "leaderboards/test_leaderboard.py", "adapters/test_lower_layers.py",
    "metrics/test_bootstrap.py", "tasks/test_files.py", "adapters/test_supervised.py",
    "tasks/test_late_requests.py",
    "tasks/test_embedded_tokenizer.py", "adapters/test_prepare.py",
    "adapters/test_calibration_heads.py", "leaderboards/test_store_hostile.py",
    "leaderboards/test_leaderboard_files.py", "adapters/test_token_statistics.py",
    "text/test_labels.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Put the files of `LONGEST` in front, in this order."""
    place = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST)}
    if gone := [str(path) for path in place if not path.is_file()]:
        raise pytest.UsageError(f"LONGEST names files that do not exist: {', '.join(gone)}")
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(scope="session", autouse=True)
def no_package_list():
    """lm-eval describes the machine after every run, which takes it a second; no test reads that.

    Only where lm-eval is there already, which it is if a file that was collected imports it.
    """
    with pytest.MonkeyPatch.context() as patch:
        if "lm_eval.evaluator" in sys.modules:
            patch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
            # Its tokenizer is on the Hub, where lm-eval looks for it, and waits, at every end.
            patch.setattr("lm_eval.models.dummy.DummyLM.tokenizer", None)
        yield


@pytest.fixture
def hub(monkeypatch):
    """`datasets.load_dataset` gives made-up rows of the data set asked for."""
    import datasets

    from helpers.task_runs import made_up

    monkeypatch.setattr(datasets, "load_dataset", made_up)


@pytest.fixture(scope="session")
def embedded_model_path():
    """The real SmolLM2-135M-Instruct, fetched once into the user's cache."""
    from harness_tasks.embedded_models import ensure_model

    return ensure_model()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, embedded_model_path):
    """A Llama with random weights and the real tokenizer."""
    from helpers.adapters_common import tiny_model

    return tiny_model(tmp_path_factory.mktemp("tiny"), embedded_model_path)


@pytest.fixture(scope="session")
def graded(tmp_path_factory):
    """A graded dataset from which there is something to learn."""
    from helpers.adapters_common import graded_answers

    return graded_answers(tmp_path_factory.mktemp("graded"))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A prepared data set of multiple-choice rows."""
    from helpers.adapters_common import prepared_questions

    return prepared_questions(tmp_path_factory.mktemp("prepared") / "data")
