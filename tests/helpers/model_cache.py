"""Models of the catalogue for tests: from the cache, or fetched where that is wished for."""

import os

import pytest

from harness_tasks.embedded_models import MODELS, ensure_model, listing

LARGEST = 5e9  # what a workflow's cache has room for


def folder_of(name):
    """The model's folder; the test is skipped if it is not there and nobody asked for it.

    CALIBENCH_ALL_MODELS=1 fetches all models of up to `LARGEST` bytes on disk, and accepts the
    terms of those that have some.
    """
    there = {model.name: cached for model, cached in listing()}[name]
    if not there and MODELS[name].size > LARGEST:
        pytest.skip(f"{name} is not in the cache; `calibench model {name}` fetches it")
    if not there and not os.environ.get("CALIBENCH_ALL_MODELS"):
        size = f"{MODELS[name].download / 1e6:.0f} MB"
        pytest.skip(f"{name} is not in the cache; CALIBENCH_ALL_MODELS=1 fetches it ({size})")
    try:
        return ensure_model(name, accept_license=True)
    except RuntimeError as error:
        if "could not download" not in str(error):
            raise
        pytest.skip(str(error))
