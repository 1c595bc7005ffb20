"""Parameter types, options and helpers that several commands share."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from calibench.quiet import hush

# Options are spelled as lm-eval and Hugging Face spell them, `--output_path`; `--output-path` is
# the same option.
CONTEXT = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
    "token_normalize_func": lambda token: token.replace("-", "_"),
}


class PathType(click.Path):
    """A path that is not empty: an empty one would be the current folder."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return a `Path`. Raises BadParameter as `click.Path`, and for an empty text."""
        if value == "":
            self.fail("it is empty: name a file or a folder.", param, ctx)
        return super().convert(value, param, ctx)


FOLDER = PathType(file_okay=False)
EXISTING = PathType(exists=True)
TABLE = PathType(exists=True, allow_dash=True)
FILE = PathType(dir_okay=False)
WRITTEN = PathType(dir_okay=False, allow_dash=True)
COUNT = click.IntRange(1)
# Limits that nobody needs to exceed, and beyond which time or memory runs out.
MANY = click.IntRange(0, 1_000_000)
SHARE = click.FloatRange(0, 1, min_open=True)


def output_option(help: str, default: str | None = None) -> Callable[[Any], Any]:
    """Return the option that names a command's output folder; required without a `default`."""
    shown = {} if default is None else {"default": default, "show_default": True}
    return click.option(
        "-o",
        "--output_path",
        "--output",
        "output",
        required=default is None,
        type=FOLDER,
        help=help,
        **shown,
    )


@contextmanager
def starting() -> Iterator[None]:
    """Import large libraries without garbage collection, which their objects do not need.

    Garbage collection takes a quarter of the time of importing torch, transformers and lm-eval, and
    another second when the process ends. A process that has imported them already keeps collecting
    its own garbage. Messages among these libraries are hidden.
    """
    hush()
    if "torch" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def task_names(incomplete: str) -> list[str]:
    """Return our tasks that `incomplete`, the last of a list with commas, may be completed to.

    lm-eval's own are not among them: reading its files takes seconds.
    """
    from harness_tasks import shipped_tasks

    before, comma, last = incomplete.rpartition(",")
    found = sorted(shipped_tasks())
    return [f"{before}{comma}{name}" for name in found if name.startswith(last)]


def refuse_inputs(option: str, output: Path | None, inputs: Iterable[Path]) -> None:
    """Raise ValueError if writing to `output` would replace one of the files that are read."""
    for each in inputs:
        if output is not None and each.is_file() and output.exists() and output.samefile(each):
            raise ValueError(
                f"{option}: {output} is read by this command, and would be replaced; name another "
                f"file."
            )


def key_values(
    option: str, given: Iterable[str], kind: Callable[[str], Any] = str
) -> dict[str, Any]:
    """Parse the values of an option of the form KEY=VALUE."""
    pairs: dict[str, Any] = {}
    for pair in given:
        key, separator, value = pair.strip().partition("=")
        try:
            if not (separator and value) or key in pairs:
                raise ValueError
            pairs[key] = kind(value)
        except ValueError:
            wanted = {int: "a whole number", float: "a number"}.get(kind, "a name")
            raise ValueError(
                f"{option}: {pair!r} cannot be used; write KEY=VALUE with {wanted}, each key once."
            ) from None
    return pairs
