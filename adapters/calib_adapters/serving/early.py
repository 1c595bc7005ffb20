"""Checks of an evaluation that run before torch is imported and the model is loaded."""

from __future__ import annotations

import difflib
import fnmatch
import math
import re
import tempfile
from argparse import Namespace
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import lm_eval.tasks
from lm_eval.config.evaluate_config import EvaluatorConfig
from lm_eval.tasks import TaskManager

import harness_tasks
from harness_tasks.elicitation.settings import parse_settings

# A name; of tags also several, between brackets or one below the other.
_NAMED = re.compile(r"^['\"]?(?:(?:task|group)['\"]?:.*|tag['\"]?:.*(?:\n[ \t]*- .*)*)", re.M)
_NAME = re.compile(r"[^\s,'\"\[\]]*\w[^\s,'\"\[\]]*")
LOCAL = ("calib-hf", "hf", "hf-auto", "huggingface")  # back ends that run a model here
_CONFIDENCE = "harness_tasks.task.read_by_the_class"  # what all confidence tasks share


def check_given(parsed: Namespace) -> None:
    """Check options that lm-eval takes without a look.

    Raises:
        ValueError: in an option that is a mapping, a value has no name, an argument of the model
            no value, or a number is not finite; no back end, or a negative number of examples.
    """
    for name in ("model_args", "metadata", "gen_kwargs"):
        given = getattr(parsed, name, None) or {}
        if "" in given:
            raise ValueError(f"--{name}: '={given['']}' has no name; write NAME=VALUE.")
        for key, value in given.items():
            if name == "model_args" and value == "":
                raise ValueError(
                    f"--model_args: {key} has no value; leave it out, or give one (is a variable "
                    f"of the shell empty?)."
                )
            if name != "metadata" and _is_infinite(value):  # that of a task is checked by its kind
                raise ValueError(f"--{name}: {key} is {value}, not a finite number.")
    if parsed.model == "":
        raise ValueError("--model is empty; name a back end, such as calib-hf.")
    if (shots := getattr(parsed, "num_fewshot", None)) is not None and shots < 0:
        raise ValueError(f"--num_fewshot is {shots}; give 0 or more examples.")


def _is_infinite(value: Any) -> bool:
    """Return whether it is NaN or an infinity, as a number or as lm-eval leaves its name."""
    if isinstance(value, str):
        return value.lower().lstrip("+-") in ("inf", "infinity", "nan")
    return isinstance(value, float) and not math.isfinite(value)


def check_early(config: EvaluatorConfig) -> None:
    """Check the tasks' names and options, where the results go, and that a model is named.

    Raises:
        ValueError: no task, an unknown one, or options that its tasks do not take; no model.
        OSError: nothing can be written to the output path.
    """
    names = named_tasks(config)
    if not names:
        raise ValueError(
            "--tasks is missing; `lm_eval ls tasks --include_path $(calibench tasks)` lists them."
        )
    if config.model in LOCAL and not config.model_args.get("pretrained"):
        raise ValueError(
            f"--model_args: {config.model} needs 'pretrained', the model's name on the Hub or its "
            f"folder; `calibench model` prints that of a small one."
        )
    if config.output_path:
        check_output(Path(config.output_path))
    included = TaskManager(include_path=config.include_path, include_defaults=False)
    for name in names:
        found = included.match_tasks([name])
        for task in _leaves(found, included):
            process = included.task_index[task].cfg.get("process_results")
            if str(process).endswith(_CONFIDENCE):
                check_options(task, config.metadata)
        if not found and not _is_path(name):
            check_name(name, included)


def named_tasks(config: EvaluatorConfig) -> list[str]:
    """Split ``--tasks`` into names, patterns and files."""
    tasks = config.tasks or []
    given = [tasks] if isinstance(tasks, str) else tasks
    return [name for each in given for name in str(each).split(",") if name]


def check_output(path: Path) -> None:
    """Check that results can be written to `path`, by writing an unnamed temporary file.

    Raises:
        OSError: it could not be written.
    """
    folder = path.parent if path.suffix == ".json" else path
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"--output_path: {there} is not a folder; name another one.")
    try:
        with tempfile.TemporaryFile(dir=there) as trial:
            trial.write(bytes(1 << 16))
            trial.flush()
    except OSError as error:
        raise OSError(
            f"--output_path: nothing can be written to {there} ({error.strerror}); name another "
            f"folder."
        ) from error


def check_options(task: str, metadata: dict) -> None:
    """Check the options that ``--metadata`` gives to a confidence task.

    Raises:
        ValueError: an option has a wrong value.
        FileNotFoundError: the answers or the judge's verdicts do not exist.
    """
    settings = parse_settings(task, metadata)
    judge = settings.grading.partition("judge:")[2]
    for key, path in (("answers", settings.answers), ("grading", judge)):
        if path and not Path(path).exists():
            raise FileNotFoundError(f"{task}: metadata key {key!r} names {path}; it is not there.")


def check_name(name: str, included: TaskManager) -> None:
    """Check that `name` is the name of a task, group or tag, or a pattern that matches one.

    Raises:
        ValueError: nothing matches; the message suggests a similar name.
    """
    names = known_names().union(included.all_tasks)
    if name in names or fnmatch.filter(names, name):
        return
    raise ValueError(f"--tasks: there is no task {name!r}; {suggestion(name, names)}")


def suggestion(name: str, names: Collection[str]) -> str:
    """Return what a task may be called that is not among `names`, as the end of a sentence."""
    near = difflib.get_close_matches(name, names, n=3)
    return f"did you mean {' or '.join(near)}?" if near else "`lm_eval ls tasks` lists them."


def _leaves(names: Sequence[str], manager: TaskManager) -> Iterator[str]:
    """Return the tasks in `names`, with groups replaced by their members."""
    for name in names:
        if name in manager.all_groups:
            members = [each for each in manager.task_index[name].cfg["task"] if str(each) == each]
            yield from _leaves(manager.match_tasks(members), manager)
        elif name in manager.all_subtasks:
            yield name


@cache
def known_names() -> frozenset[str]:
    """All that may be a task, group or tag, by lm-eval's files and ours; a second or two.

    lm-eval reads the same files in half a minute. No name of its own is missing here; some words
    are none, so that what is found is only known when lm-eval has it.
    """
    packages = (lm_eval.tasks, harness_tasks)
    folders = [Path(str(each.__file__)).parent for each in packages]
    return frozenset(name for each in folders for name in _names_in(each))


def _names_in(folder: Path) -> Iterator[str]:
    for file in folder.rglob("*"):
        # Those that others include have another suffix, or none.
        if (not file.suffix or "yaml" in file.name) and file.is_file():
            for words in _NAMED.findall(file.read_text(encoding="utf-8", errors="replace")):
                names = _NAME.findall(re.sub(r"^['\"]?\w+['\"]?:|#.*", "", words))
                yield from (name for name in names if "@" not in name)  # a template's blank


def _is_path(name: str) -> bool:
    return name.endswith(".yaml") or Path(name).exists()
