"""The data sets that recipes train on; each has a file that describes it and tells its kind."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets

from harness_tasks.elicitation.logs import read_object
from harness_tasks.whole_folder import whole_folder

GRADING = "grading.json"  # written by `calibench grade`
PREPARED = "prepared.json"  # written by `calibench prepare` and `calibench self-instruct`


def data_fingerprint(data: Path) -> str:
    """The sha256 over the rows, as the folder's description records it.

    Raises:
        ValueError: `data` is neither a graded nor a prepared data set.
    """
    if (file := description_file(data)) is not None:
        return str(_description(file)["fingerprint"])
    raise ValueError(
        f"{data} holds neither graded answers nor prepared prompts; make them with "
        f"`calibench grade RESULTS -o {data}` or `calibench prepare SOURCE -o {data}`."
    )


def description_file(data: Path) -> Path | None:
    """Return the file that describes the data set in the folder `data`; None if there is none."""
    return next((data / name for name in (GRADING, PREPARED) if (data / name).is_file()), None)


def _description(file: Path) -> dict[str, Any]:
    """What describes a data set. Raises ValueError if it lacks what this program wrote."""
    found, _ = read_object(file)
    needed = ("fingerprint", "method") if file.name == GRADING else ("fingerprint",)
    for name in needed:
        if not isinstance(found.get(name), str):
            raise ValueError(f"{file} has no {name!r}: it was changed or damaged; make it again.")
    return found


def fingerprint(data: datasets.DatasetDict) -> str:
    """sha256 over the rows of all splits, independent of how they are stored."""
    digest = hashlib.sha256()
    for name in sorted(data):
        for row in data[name]:
            digest.update(json.dumps([name, row], sort_keys=True, ensure_ascii=False).encode())
    return digest.hexdigest()


def save_data(data: datasets.DatasetDict, files: Mapping[str, Any], out: Path) -> None:
    """Write a data set with files beside it; the folder `out` appears when all is written.

    Args:
        data: the data set.
        files: what the file of that name holds, as JSON; or a file to copy.
        out: a folder that does not exist yet.
    """
    datasets.disable_progress_bars()
    try:
        with whole_folder(out) as work:
            data.save_to_disk(str(work))
            for name, content in files.items():
                if isinstance(content, Path):
                    shutil.copyfile(content, work / name)
                    continue
                text = json.dumps(content, indent=1, ensure_ascii=False)
                (work / name).write_text(text + "\n", encoding="utf-8")
    finally:
        datasets.enable_progress_bars()


def load_data(data: Path, name: str, command: str) -> tuple[datasets.DatasetDict, dict[str, Any]]:
    """The data set in the folder `data` and the content of the file that describes it.

    Args:
        data: the folder.
        name: `GRADING` or `PREPARED`.
        command: the command that makes such a folder, for the error message.

    Raises:
        ValueError: `data` is not a data set of that kind.
    """
    kind = "graded dataset" if name == GRADING else "prepared data set"
    if not (data / name).is_file():
        raise ValueError(f"{data} is not a {kind}; make one with `{command} -o {data}`.")
    description = _description(data / name)
    try:
        found = datasets.load_from_disk(str(data))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{data} is a damaged {kind} ({type(error).__name__}: {error}); make it again with "
            f"`{command} -o FOLDER`."
        ) from error
    return found, description
