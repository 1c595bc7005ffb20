"""Compile a task's templates only once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from harness_tasks.elicitation.harness import environment


@contextmanager
def compiled_once() -> Iterator[None]:
    """Context in which lm-eval compiles each Jinja template only once.

    Otherwise it compiles again for every document and every example, which takes most of the time
    of building requests.
    """
    env = environment()
    if "from_string" in vars(env):  # already inside
        yield
        return
    env.from_string = lru_cache(maxsize=None)(env.from_string)
    try:
        yield
    finally:
        del env.from_string
