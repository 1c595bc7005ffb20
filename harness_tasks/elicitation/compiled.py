"""A task's templates, compiled once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from lm_eval.utils import env


@contextmanager
def compiled_once() -> Iterator[None]:
    """Inside, lm-eval compiles a Jinja template at its first use.

    Left to itself it compiles anew for every document and every example before it, which is most
    of the time that building requests takes.
    """
    if "from_string" in vars(env):  # we are inside already
        yield
        return
    env.from_string = lru_cache(maxsize=None)(env.from_string)
    try:
        yield
    finally:
        del env.from_string
