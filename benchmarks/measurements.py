"""Measurements that can be stopped and resumed: each is a line of a file, if there is one."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata


class Measurements:
    """Measurements made so far, with their settings; in the file ``--log``, if it is given.

    Args:
        given: the command line, with `log`.
        settings: names of the options that a measurement depends on.
        measure: makes one from all options.
    """

    def __init__(
        self, given: argparse.Namespace, settings: Sequence[str], measure: Callable[[dict], dict]
    ):
        self._given, self._settings, self._measure = given, settings, measure
        self._used: set[int] = set()
        text = given.log.read_text("utf-8") if given.log and given.log.is_file() else ""
        self._made = [json.loads(line) for line in text.splitlines()]

    def get(self, **changes) -> dict:
        """One that was not asked for before: an earlier one of this kind, or a new one."""
        options = {**vars(self._given), **changes}
        settings = {name: options[name] for name in self._settings}
        for i, made in enumerate(self._made):
            if i not in self._used and made["settings"] == settings:
                self._used.add(i)
                return made
        made = {"settings": settings, **self._measure(options)}
        self._used.add(len(self._made))
        self._made.append(made)
        print(json.dumps(made), file=sys.stderr, flush=True)
        if self._given.log:
            with self._given.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(made) + "\n")
        return made


def circumstances(given: argparse.Namespace, questions: str) -> str:
    """The line below a table: when, with which versions and how it was measured."""
    names = ("torch", "transformers", "lm_eval")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    return (
        f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {versions}, "
        f"{questions}, {given.shots}-shot, K = {given.k}, "
        f"{given.threads} thread(s), seconds of the {given.clock}, median of {given.repeats}."
    )
