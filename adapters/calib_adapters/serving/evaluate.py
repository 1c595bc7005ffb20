"""``calibench eval``: ``lm_eval run`` with our back end and our tasks."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partialmethod
from pathlib import Path
from typing import Any

from lm_eval._cli import HarnessCLI
from lm_eval.config.evaluate_config import EvaluatorConfig
from lm_eval.tasks import TaskManager
from lm_eval.utils import setup_logging

import harness_tasks
from calib_adapters.serving.early import check_early, check_given, named_tasks

OURS = str(Path(harness_tasks.__file__).parent)


def evaluate(
    arguments: Sequence[str],
    importing: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Run ``lm_eval run`` with these arguments; our tasks are known unless others are named.

    Args:
        arguments: of the command line.
        importing: entered while the large libraries are imported, after the first checks.

    Raises:
        ValueError: arguments that cannot be used; most are found before the model loads.
        OSError: the results cannot be written, or were not.
    """
    if not arguments:
        raise ValueError(
            "eval needs --model, --model_args and --tasks; `calibench eval --help` has an example."
        )
    if not any(argument.startswith(("--inc", "--conf", "-C")) for argument in arguments):
        arguments = [*arguments, "--include_path", OURS]
    sys.argv = ["lm_eval", "run", *arguments]
    setup_logging()
    parsed = HarnessCLI().parse_args()
    check_given(parsed)
    config = _configured(parsed)
    check_early(config)
    with importing():
        from calib_adapters.serving.options import check_arguments, check_device, explained

        if not (parsed.device is None and config.device == EvaluatorConfig().device):
            check_device(config.device)
        check_arguments(config.model, config.model_args)
        import calib_adapters.serving.model  # noqa: F401  (registers calib-hf)
    made = _instead(EvaluatorConfig, "from_cli", lambda _: config)
    listing, going_on = listed(named_tasks(config)), _resumed(config)
    with made, listing, _heard(), _quiet_git(), explained(config.model), going_on, _saved(config):
        parsed.func(parsed)


def _configured(parsed: Namespace) -> EvaluatorConfig:
    """The configuration, or a sentence about a file of --config that is none."""
    try:
        return EvaluatorConfig.from_cli(parsed)
    except TypeError as error:
        if not getattr(parsed, "config", None):
            raise
        raise ValueError(
            f"--config: {parsed.config} is no YAML file of options of `lm_eval run` ({error})."
        ) from error


@contextmanager
def listed(names: Sequence[str]) -> Iterator[None]:
    """Context manager: lm-eval indexes its own task files only if `--tasks` may name one of them.

    The index takes six processor seconds, as long as the rest of the start-up.
    """
    own = TaskManager(include_path=OURS, include_defaults=False)
    if not names or not _all_ours(names, own):
        yield
        return
    without = partialmethod(TaskManager.__init__, include_defaults=False)
    with _instead(TaskManager, "__init__", without):
        yield


def _all_ours(names: Sequence[str], own: TaskManager) -> bool:
    """Return whether all these names, patterns and groups stand for tasks of Calibench.

    A pattern counts only if it begins like Calibench's task names, as none of lm-eval's own do.
    """
    for name in names:
        found = own.match_tasks([name]) if str(name).startswith("calib_") else [name]
        if not found or not set(found) <= set(own.all_tasks):
            return False
        groups = [own.task_index[each].cfg["task"] for each in found if each in own.all_groups]
        if not all(_all_ours(members, own) for members in groups):
            return False
    return True


@contextmanager
def _saved(config: EvaluatorConfig) -> Iterator[None]:
    """Raise an error if lm-eval could not write the results; it only logs a warning itself."""
    problems: list[str] = []
    logger = logging.getLogger("lm_eval.loggers.evaluation_tracker")
    own, shown = logger.level, logger.getEffectiveLevel()

    def note(record: logging.LogRecord) -> bool:
        if problems or record.getMessage().startswith("Could not save"):
            problems.append(record.getMessage())  # the reason comes after it, on a lower level
        return record.levelno >= shown

    logger.setLevel(min(shown, logging.INFO))
    logger.addFilter(note)
    try:
        yield
    finally:
        logger.setLevel(own)
        logger.removeFilter(note)
    if problems:
        raise OSError(
            f"the results were not saved to {config.output_path}, or not wholly "
            f"({'; '.join(problems)}). The scores stand above; delete what is there, make room or "
            f"name another --output_path, and run the command again."
        )


@contextmanager
def _resumed(config: EvaluatorConfig) -> Iterator[None]:
    """Resume the evaluation from the responses of a killed run of the same command."""
    import lm_eval.evaluator

    from calib_adapters.serving.resume import resumable

    with resumable(config) as wrap:
        evaluating = wrap(lm_eval.evaluator.evaluate)
        with _instead(lm_eval.evaluator, "evaluate", evaluating):
            yield


@contextmanager
def _heard() -> Iterator[None]:
    """Show the log messages of Calibench's modules like lm-eval's, at the same level."""
    theirs = logging.getLogger("lm_eval")
    ours = [logging.getLogger(name) for name in ("calib_adapters", "harness_tasks")]
    before = [(logger.level, logger.handlers) for logger in ours]
    for logger in ours:
        logger.setLevel(theirs.level)
        logger.handlers = [*logger.handlers, *theirs.handlers]
    try:
        yield
    finally:
        for logger, (level, handlers) in zip(ours, before, strict=True):
            logger.setLevel(level)
            logger.handlers = handlers


@contextmanager
def _quiet_git() -> Iterator[None]:
    """Keep lm-eval from asking git for a commit outside a repository.

    There git would print "fatal: not a git repository", although the user did not call git.
    """
    import lm_eval.evaluator
    from lm_eval.loggers.utils import get_commit_from_path

    asked = lm_eval.evaluator.get_git_commit_hash

    def commit() -> str | None:
        try:
            inside = subprocess.run(["git", "rev-parse"], capture_output=True).returncode == 0
        except OSError:  # no git
            inside = False
        return asked() if inside else get_commit_from_path(os.getcwd())

    with _instead(lm_eval.evaluator, "get_git_commit_hash", commit):
        yield


@contextmanager
def _instead(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Context manager: set the attribute `name` of `owner` to `value`."""
    before = owner.__dict__[name]  # as it stands there: a class method stays one
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
