"""Fixtures that several test files share."""

import pytest


@pytest.fixture(scope="session")
def embedded_model_path():
    """The real SmolLM2-135M-Instruct, fetched once into the user's cache."""
    from harness_tasks.embedded_model import ensure_model

    return ensure_model()
