"""Which model was asked, and how: what distinguishes the entries of one task."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calib_leaderboards.labels import COMBINED
from calib_leaderboards.provenance import published_arguments
from calib_leaderboards.runs import Log, Run, Task
from calib_leaderboards.runs.model import NAMED_BY, USES
from calib_leaderboards.runs.run import last_part
from calib_leaderboards.store.entry import Adapter, Model, Setting

# Model arguments that name the model or the machine, but do not change how it is asked.
_NOT_HOW = {
    *NAMED_BY,
    *USES,
    "revision",
    "tokenizer",
    "dtype",
    "softmax_dtype",
    "device",
    "batch_size",
    "max_batch_size",
    "parallelize",
    "device_map_option",
    "max_memory_per_gpu",
    "max_cpu_memory",
    "offload_folder",
    "trust_remote_code",
    "use_fast_tokenizer",
    "backend",
    "attn_implementation",
    "tensor_parallel_size",
    "data_parallel_size",
    "gpu_memory_utilization",
    "swap_space",
    "base_url",
    "num_concurrent",
    "max_retries",
    "timeout",
    "verify_certificate",
}
_PREVIEW = re.compile(r"preview-(\d+)-of-(\d+)_")
# Options of --metadata that are shown elsewhere: the methods are the rows of an entry.
_SHOWN = ("methods", "answers")


def describe_model(run: Run, adapters: Mapping[str, Path] | None = None) -> Model:
    """The model of a run.

    adapters: folders of its adapters, by their names in the run; their weights' sha256 is
    recorded.
    """
    model = run.model
    return Model(
        name=model.name,
        revision=model.revision,
        sha=model.sha,
        parameters=model.parameters,
        dtype=model.dtype,
        adapter=_adapter(run, adapters or {}),
    )


def describe_setting(run: Run, task: Task, log: Log) -> Setting:
    """The setting of a task in a run.

    Where the answers are frozen, the first digits of their fingerprint are in the slug, since
    confidences in other answers are another entry. (The documents of a judge's task contain
    answers.) Where the run asked only some of the questions, the slug begins with that, as in
    "preview-250-of-796_3-shot".
    """
    shots, chat, system = task.num_fewshot, run.chat_template, run.system_prompt
    parts = [] if task.part is None else ["preview-{:d}-of-{:d}".format(*task.part)]
    parts += ["default-shot" if shots is None else f"{shots:d}-shot"]
    parts += ["chat"] if chat else []
    # With a chat template, lm-eval's default is a turn per example.
    parts += ["one-turn"] if chat and shots and not run.multiturn else []
    parts += [f"system-{_digest(system)}"] if system else []
    frozen = task.answers == "frozen"
    parts += [f"frozen-{(log.answers_fingerprint or log.data)[:8]}"] if frozen else []
    for key, value in (_options(task) if log.answers_fingerprint else {}).items():
        text = last_part(str(value))  # some are paths
        short = re.fullmatch(r"\w{1,20}", text, re.ASCII)
        parts.append(f"{key}-{text if short else _digest(text)}")
    if combination := task.metadata.get(COMBINED):
        parts.append(f"{COMBINED}-{_digest(combination)}")
    if run.generation:
        parts.append(f"gen-{_digest(run.generation)}")
    shown = published_arguments(run)
    how = {key: value for key, value in run.arguments.items() if key in shown.keys() - _NOT_HOW}
    parts += [f"args-{_digest(how)}"] if how else []
    slug = "_".join(parts)
    if len(slug) > 80:
        slug = f"{slug[:71].rstrip('.-_')}-{_digest(slug)}"
    return Setting(
        slug=slug,
        num_fewshot=shots,
        chat_template=bool(chat),
        system_prompt=bool(system),
        answers=task.answers,
    )


def preview_note(slug: str) -> str:
    """The note in a table on a run that asked only some of the questions; "" for a complete one."""
    if found := _PREVIEW.match(slug):
        asked, whole = (f"{int(number):,}" for number in found.groups())
        return f"preview: {asked} of {whole} questions; cannot be added to a leaderboard"
    return ""


def weights_sha256(folder: Path) -> str:
    """sha256 of an adapter's weights: of its only .safetensors file, or of "NAME SHA256" lines.

    Raises FileNotFoundError if the folder has none.
    """
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not files:
        raise FileNotFoundError(
            f"'{folder}' is not a folder with an adapter's *.safetensors in it."
        )
    hashes = [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]
    if len(hashes) == 1:
        return hashes[0][1]
    return hashlib.sha256("".join(f"{name} {sha}\n" for name, sha in hashes).encode()).hexdigest()


def _adapter(run: Run, folders: Mapping[str, Path]) -> Adapter | None:
    if not run.adapters:
        return None
    names = [adapter.name for adapter in run.adapters]
    hashes = [weights_sha256(folders[name]) for name in names if name in folders]
    sha256 = None
    if len(hashes) == len(names):
        sha256 = (
            hashes[0]
            if len(hashes) == 1
            else hashlib.sha256(
                "".join(f"{name} {sha}\n" for name, sha in zip(names, hashes, strict=True)).encode()
            ).hexdigest()
        )
    return Adapter(
        name="+".join(names), revision=run.adapter_sha, sha256=sha256, use=run.adapters[0].use
    )


def _options(task: Task) -> dict[str, Any]:
    """The options of a confidence task that are not the default, except those shown elsewhere."""
    from harness_tasks.elicitation.settings import Settings

    metadata = task.metadata
    fields = {
        key: field.default for key, field in Settings.model_fields.items() if key not in _SHOWN
    }
    return {
        key: metadata[key]
        for key, default in fields.items()
        if key in metadata and metadata[key] is not None and metadata[key] != default
    }


def _digest(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
