"""Prepared data sets: tasks and instruction records in one schema, divided without overlap.

A prepared data set is a `datasets.DatasetDict` saved to disk, with ``prepared.json``. Its splits
are train, validation and, where there are such rows, calibration and test; its columns are those
of `calib_adapters.data.prepare.row.FEATURES`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import datasets

from calib_adapters.data.asked_with import asked_with
from calib_adapters.data.prepare.division import divide, leave_out_repeats, limit, plan_splits
from calib_adapters.data.prepare.records import WHOLE, file_source, hub_source
from calib_adapters.data.prepare.row import ROLES, Row, Source, to_dataset
from calib_adapters.data.training_data import PREPARED, fingerprint, load_data, save_data
from harness_tasks.rows import FILES

# For lm_eval's --samples, {task: [numbers of the rows]}; other rows too if tasks score them.
TEST_SAMPLES, VALIDATION_SAMPLES = "test_samples.json", "validation_samples.json"
TRAIN_SAMPLES = "train_samples.json"


@dataclass(frozen=True)
class Choices:
    """How sources become splits.

    Attributes:
        splits: by role, the split of the data set to use instead of its own.
        shares: of the roles where rows are divided; by default 0.5, 0.1, 0.1 and 0.3 (train,
            validation, calibration, test) for tasks, 0.9 and 0.1 for records.
        redivide: divide the split that a task is scored on, whatever other splits there are.
        limits: most rows per source, by role.
        columns: names of a file's columns, by what they are called here.
        delimiter: between a prompt and a completion that have no white space between them.
        drop_unusable: leave unusable records out instead of refusing the file.
        include_path: folder with further lm-eval tasks.
        seed: of the division and of the choice of rows.
        model_args: arguments that the model will be asked with, as lm-eval takes them; those that
            decide its tokens are recorded and used in training.
    """

    splits: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    redivide: bool = False
    limits: Mapping[str, int] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    delimiter: str = " "
    drop_unusable: bool = False
    include_path: Path | None = None
    seed: int = 0
    model_args: str = ""


def prepare(
    sources: Sequence[str], out: Path, choices: Choices = Choices()
) -> tuple[datasets.DatasetDict, dict[str, Any]]:
    """Make a prepared data set.

    Args:
        sources: names of lm-eval tasks or groups (prompts and answers are the task's own, without
            examples), files, ``ROLE=FILE`` for a file that is one split, or data sets on the Hub
            (``ID`` or ``ID:CONFIGURATION``) with Dolly, Alpaca, prompt and completion, or
            ``messages`` records.
        out: folder for the data set.
        choices: how they become splits.

    Returns:
        The data set, and what ``prepared.json`` says of it.

    Raises:
        FileNotFoundError, ValueError: a source that cannot be found or used, training on test rows,
            a split without rows, or an `out` that exists.
    """
    if out.exists():
        raise ValueError(f"{out} exists already; delete it or choose another folder.")
    shares = _check(choices)
    found = _find(sources, choices)
    if twice := [name for name, n in Counter(source.name for source in found).items() if n > 1]:
        raise ValueError(f"two sources are called {twice[0]!r}; give it once.")
    divided: dict[str, dict[str, list[Row]]] = {}
    lost: dict[str, Counter] = {source.name: Counter() for source in found}
    origins: dict[str, dict[str, Any]] = {}
    for source in found:
        own_shares = shares or source.shares
        plan = plan_splits(source, choices.splits, own_shares, choices.redivide)
        origins[source.name] = {
            split: {"roles": list(roles), "divided": len(roles) > 1}
            for split, roles in plan.items()
        }
        for split, roles in plan.items():
            rows, unusable = source.read(split)
            lost[source.name].update({f"{split}: {why}": n for why, n in unusable.items()})
            for role, part in divide(rows, roles, own_shares, choices.seed).items():
                divided.setdefault(role, {})[source.name] = part
    kept, repeats = leave_out_repeats(divided)
    for name, why in repeats.items():
        lost[name].update(why)
    kept = {
        role: {n: limit(rows, choices.limits.get(role), choices.seed) for n, rows in by.items()}
        for role, by in kept.items()
    }
    data = to_dataset(kept)
    described = {
        "sources": [
            {
                "name": source.name,
                **source.facts,
                "splits": origins[source.name],
                "shares": dict(shares or source.shares),
                "left_out": dict(lost[source.name]),
            }
            for source in found
        ],
        "splits": {
            role: {"n": len(data[role]), "by_task": {n: len(rows) for n, rows in by.items()}}
            for role, by in kept.items()
            if role in data
        },
        "division": "by sha256 of seed and question, or of the prompt where there is no question",
        "limits": dict(choices.limits),
        "seed": choices.seed,
        "asked_with": asked_with(choices.model_args),
        "fingerprint": fingerprint(data),
        "versions": {name: version(name) for name in ("calibench", "datasets", "lm_eval")},
    }
    facts = {PREPARED: described, TEST_SAMPLES: _samples(found, kept.get("test", {}))}
    if choices.redivide:
        facts[VALIDATION_SAMPLES] = _samples(found, kept["validation"])
        facts[TRAIN_SAMPLES] = _samples(found, kept["train"])
    save_data(data, facts, out)
    return data, described


def load_prepared(data: Path) -> tuple[datasets.DatasetDict, dict[str, Any]]:
    """The prepared data set in the folder `data`, and what its ``prepared.json`` says.

    Raises:
        ValueError: `data` is not a prepared data set.
    """
    return load_data(data, PREPARED, "calibench prepare SOURCE")


def _check(choices: Choices) -> dict[str, float]:
    """The shares that were given, without those that are 0."""
    if choices.redivide and choices.splits:
        raise ValueError("--split keeps splits and --redivide keeps none: give one of them.")
    first = choices.model_args.split(",")[0]
    if choices.model_args and "=" not in first:
        raise ValueError(f"--model_args: {first!r} is not KEY=VALUE, such as tokenizer=FOLDER.")
    options = {"split": choices.splits, "shares": choices.shares, "limit": choices.limits}
    for option, given in options.items():
        if unknown := given.keys() - set(ROLES):
            raise ValueError(f"--{option}: {min(unknown)!r} is not one of {', '.join(ROLES)}.")
    if any(size < 1 for size in choices.limits.values()):
        raise ValueError("--limit: a split needs at least one row.")
    shares = {role: float(share) for role, share in choices.shares.items() if share != 0}
    if shares and (min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-6):
        listed = ", ".join(f"{role}={share:g}" for role, share in shares.items())
        raise ValueError(f"--shares: {listed} must be fractions that add up to 1.")
    for role in ("train", "validation"):
        if shares and role not in shares:
            raise ValueError(f"--shares: give {role} a share too; training needs one.")
    return shares


def _find(sources: Sequence[str], choices: Choices) -> list[Source]:
    columns, delimiter, drop = choices.columns, choices.delimiter, choices.drop_unusable
    loader = None
    found: list[Source] = []
    for name, files in _files(sources).items():
        found.append(file_source(name, files, columns, delimiter, drop))
    for name in sources:
        if _file(name):
            continue
        if "/" in name:  # every data set on the Hub has one in its id, and no task has
            found.append(hub_source(name, columns, delimiter, drop))
            continue
        if not name:
            raise ValueError("a source is empty: name a task, a file or a data set on the Hub.")
        if Path(name).is_dir():
            _refuse_folder(name)
        if loader is None:  # imports of seconds, which files do not need
            from calib_adapters.data.prepare.tasks import TaskLoader
            from calib_adapters.serving.early import known_names, suggestion

            loader = TaskLoader(choices.include_path)
        # To see that a name is none takes lm-eval half a minute.
        may_be = name in loader.names or name in known_names()
        tasks = loader.find(name) if may_be else None
        if tasks is None:
            near = suggestion(name, known_names().union(loader.names))
            raise ValueError(
                f"{name!r} is neither a file, nor the id of a data set on the Hub, which has a "
                f"slash, nor a task, of which those of a folder of yours need --include_path: "
                f"{near}"
            )
        found += tasks
    return found


def _refuse_folder(name: str) -> None:
    """Raise ValueError for a folder, unless a task has its name; at once, not after a search."""
    from calib_adapters.serving.early import known_names

    if name not in known_names():
        raise ValueError(
            f"{name} is a folder: give a file in it, such as {name}/train.jsonl, or train=FILE and "
            f"validation=FILE."
        )


def _file(source: str) -> tuple[str, Path] | None:
    """Role and path of ``FILE`` or ``ROLE=FILE``, or ``None`` for another source."""
    role, _, path = source.partition("=")
    if role in ROLES:
        return role, Path(path)
    known = Path(source).is_file() or source.lower().endswith(FILES)
    return (WHOLE, Path(source)) if known else None


def _files(sources: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Files by name and role: ``x/train.jsonl`` and ``x/validation.jsonl`` are both called x."""
    files: dict[str, dict[str, Path]] = {}
    for role, path in filter(None, map(_file, sources)):
        stem = path.name.split(".")[0]
        name = path.resolve().parent.name if stem in ROLES else stem
        if files.setdefault(name, {}).setdefault(role, path) is not path:
            raise ValueError(f"two files are called {name!r}; rename one, or give it once.")
    return files


def _samples(found: Sequence[Source], rows: Mapping[str, list[Row]]) -> dict[str, list[int]]:
    tasks = [source.name for source in found if source.facts["kind"] == "task"]
    return {name: [row.place for row in rows[name]] for name in tasks if rows.get(name)}


def describe(prepared: Mapping[str, Any]) -> str:
    """``prepared.json`` in a few lines: sizes, where rows come from, and what was left out."""
    lines = []
    for role, split in prepared["splits"].items():
        tasks = ", ".join(f"{name} {n}" for name, n in split["by_task"].items())
        lines.append(f"{role}: {split['n']} rows ({tasks})")
    for source in prepared["sources"]:
        for split, part in source["splits"].items():
            if part["divided"]:
                lines.append(
                    f"{source['name']}: rows of the split {split!r} were divided into "
                    f"{', '.join(part['roles'])}, by a hash of the question."
                )
        for why, n in source["left_out"].items():
            lines.append(f"{source['name']}: {n} rows left out ({why})")
    return "\n".join(lines)
