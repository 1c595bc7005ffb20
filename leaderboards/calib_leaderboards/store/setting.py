"""Which model was asked, and how: what tells the entries of one task apart."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calib_leaderboards.runs import (
    Run,
    answers_of,
    dtype_of,
    last_part,
    model_arguments,
    model_name,
    part_of,
)
from calib_leaderboards.store.entry import Adapter, Model, Setting
from calib_leaderboards.store.log import Log

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_CACHED = re.compile(r"-([0-9a-f]{12})[/\\]*$")  # what the model cache appends to a folder's name
_NAMED_BY = ("pretrained", "model", "path", "engine")
_ADAPTERS = ("peft", "ensemble", "confidence_adapter", "probe")
# Model arguments that say who is asked or on what machine, but not how.
_NOT_HOW = {
    *_NAMED_BY, *_ADAPTERS, "revision", "tokenizer", "dtype", "softmax_dtype", "device",
    "batch_size", "max_batch_size", "parallelize", "device_map_option", "max_memory_per_gpu",
    "max_cpu_memory", "offload_folder", "trust_remote_code", "use_fast_tokenizer", "backend",
    "attn_implementation", "tensor_parallel_size", "data_parallel_size", "gpu_memory_utilization",
    "swap_space", "base_url", "num_concurrent", "max_retries", "timeout", "verify_certificate",
}
_PREVIEW = re.compile(r"preview-(\d+)-of-(\d+)_")
# Options of --metadata that are shown elsewhere: the methods are the rows of an entry.
_SHOWN = ("methods", "answers")


def describe_model(run: Run, adapters: Mapping[str, Path] | None = None) -> Model:
    """The model of a run. `adapters`: folders of its adapters by the names that the run gives them;
    their weights' sha256 is recorded.
    """
    config, arguments = run.results["config"], model_arguments(run)
    named = next((str(arguments[key]) for key in _NAMED_BY if arguments.get(key)), "")
    sha = _text(config.get("model_sha"))
    cached = _CACHED.search(named)
    on_hub = _HUB_NAME.fullmatch(named) is not None
    revision = _text(arguments.get("revision") or config.get("model_revision"))
    count = config.get("model_num_parameters")
    return Model(
        name=named if on_hub else model_name(run),
        revision=revision if on_hub else _text(arguments.get("revision")),
        sha=sha or (cached.group(1) if cached else None),
        parameters=count if isinstance(count, int) and count > 0 else None,
        dtype=dtype_of(run),
        adapter=_adapter(run, adapters or {}),
    )


def adapter_names(run: Run) -> list[str]:
    """What a run calls its adapters: Hub names, and the last part of paths."""
    return [name for _, name in _adapters(run)]


def describe_setting(run: Run, task: str, log: Log) -> Setting:
    """The setting of a task in a run.

    Where the answers are frozen, the first digits of their fingerprint are in the slug, since
    confidences in other answers are another entry. (The documents of a judge's task hold answers.)
    Where the run asked a part of the questions, the slug begins with it, as in
    "preview-250-of-796_3-shot".
    """
    results = run.results
    shots = results["n-shot"].get(task)
    if shots is not None and (not isinstance(shots, int) or shots < 0):
        raise ValueError(
            f"'{run.path}' says that {task} has {shots!r} few-shot examples, which is no number of "
            "them; run the evaluation again."
        )
    answers = answers_of(run, task)
    chat, system = results.get("chat_template_sha"), results.get("system_instruction_sha")
    part = part_of(run, task)
    parts = [] if part is None else ["preview-{:d}-of-{:d}".format(*part)]
    parts += ["default-shot" if shots is None else f"{shots:d}-shot"]
    parts += ["chat"] if chat else []
    # lm-eval's default under a chat template is a turn per example.
    parts += ["one-turn"] if chat and shots and not results.get("fewshot_as_multiturn") else []
    parts += [f"system-{_digest(system)}"] if system else []
    parts += [f"frozen-{(log.said or log.data)[:8]}"] if answers == "frozen" else []
    for key, value in (_options(run, task) if log.said else {}).items():
        text = last_part(str(value))  # some are paths
        short = re.fullmatch(r"\w{1,20}", text, re.ASCII)
        parts.append(f"{key}-{text if short else _digest(text)}")
    if generation := results["config"].get("gen_kwargs"):
        parts.append(f"gen-{_digest(generation)}")
    how = {key: value for key, value in model_arguments(run).items() if key not in _NOT_HOW}
    parts += [f"args-{_digest(how)}"] if how else []
    slug = "_".join(parts)
    if len(slug) > 80:
        slug = f"{slug[:71].rstrip('.-_')}-{_digest(slug)}"
    return Setting(
        slug=slug,
        num_fewshot=shots,
        chat_template=bool(chat),
        system_prompt=bool(system),
        answers=answers,
    )


def preview_note(setting: Setting) -> str:
    """What a table says of a run that asked a part of the questions; "" of a whole one."""
    if found := _PREVIEW.match(setting.slug):
        asked, whole = (f"{int(number):,}" for number in found.groups())
        return f"preview: {asked} of {whole} questions; cannot be added to a leaderboard"
    return ""


def weights_sha256(folder: Path) -> str:
    """sha256 of an adapter's weights: of its only .safetensors file, or of "NAME SHA256" lines.

    Raises FileNotFoundError if the folder has none.
    """
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not files:
        raise FileNotFoundError(f"'{folder}' is no folder with an adapter's *.safetensors in it.")
    hashes = [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]
    if len(hashes) == 1:
        return hashes[0][1]
    return hashlib.sha256("".join(f"{name} {sha}\n" for name, sha in hashes).encode()).hexdigest()


def _adapter(run: Run, folders: Mapping[str, Path]) -> Adapter | None:
    used = _adapters(run)
    if not used:
        return None
    names = [name for _, name in used]
    hashes = [weights_sha256(folders[name]) for name in names if name in folders]
    sha256 = None
    if len(hashes) == len(names):
        sha256 = hashes[0] if len(hashes) == 1 else hashlib.sha256(
            "".join(f"{name} {sha}\n" for name, sha in zip(names, hashes)).encode()
        ).hexdigest()
    sha = _text(run.results["config"].get("peft_sha"))  # of the Hub repository
    return Adapter(name="+".join(names), revision=sha, sha256=sha256, use=used[0][0])


def _adapters(run: Run) -> list[tuple[str, str]]:
    """(model argument, name) of all that was put on the model."""
    arguments = model_arguments(run)
    on_hub = bool(run.results["config"].get("peft_sha"))
    found = []
    for key in _ADAPTERS:
        paths = str(arguments.get(key) or "")
        for path in paths.split("+") if key == "ensemble" else [paths]:
            if path:
                whole = key == "peft" and on_hub and _HUB_NAME.fullmatch(path)
                found.append((key, path if whole else last_part(path) or path))
    return found


def _options(run: Run, task: str) -> dict[str, Any]:
    """The options of a confidence task that are not the default, but for those shown elsewhere."""
    from harness_tasks.elicitation.settings import Settings

    metadata = run.results["configs"][task].get("metadata") or {}
    fields = {key: field.default for key, field in Settings.model_fields.items()
              if key not in _SHOWN}
    return {
        key: metadata[key] for key, default in fields.items()
        if key in metadata and metadata[key] is not None and metadata[key] != default
    }


def _digest(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _text(value: Any) -> str | None:
    return str(value) if value not in (None, "") else None
