"""The published description of a run: enough to repeat it, and no private data."""

from __future__ import annotations

import json
import shlex
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from calib_leaderboards.runs import Run, Task
from harness_tasks import shipped_tasks

# Model arguments of the back ends that determine what a model answers, or how fast. Any other may
# hold a password, whatever its name, and is not published.
_PUBLISHED = frozenset(
    """
    pretrained model path engine revision subfolder backend gguf_file quantization load_format
    tokenizer tokenizer_mode tokenizer_revision tokenizer_backend tokenized_requests
    use_fast_tokenizer add_bos_token prefix_token_id custom_prefix_token_id eos_string
    dtype softmax_dtype mixed_precision_dtype load_in_4bit load_in_8bit bnb_4bit_quant_type
    bnb_4bit_compute_dtype autogptq gptqmodel attn_implementation trust_remote_code
    max_length max_model_len max_gen_toks truncation truncation_side truncate
    enable_thinking think_end_token chat_template_args logits_cache seed
    peft delta lora_local_path max_lora_rank confidence_adapter probe ensemble mc_dropout
    mc_dropout_rate fast
    device batch_size max_batch_size parallelize device_map_option max_memory_per_gpu
    max_cpu_memory offload_folder tp_plan tensor_parallel_size data_parallel_size
    pipeline_parallel_size gpu_memory_utilization swap_space enforce_eager enable_prefix_caching
    base_url num_concurrent max_retries timeout verify_certificate api_version max_images
    """.split()
)
_JUDGE = "judge:"  # before a path, in the option `grading`
_OPTIONS = (
    "methods",
    "k",
    "weighting",
    "wording",
    "temperature",
    "yes_no",
    "guesses",
    "reply_tokens",
    "reasoning_tokens",
    "thinking_tokens",
    "nli",
    "stated_threshold",
    "permute_options",
    "grading",
    "split",
    "answers",
)


def describe(run: Run, task: Task, *, stock: bool = False) -> dict[str, Any]:
    """Where an entry's scores come from: arguments, versions, seeds, a command.

    The description is meant to be published. Absolute paths are cut to their last part, URLs to
    host and path, and model arguments that are not on a list are left out, since they may be
    credentials. Values that lm-eval did not record are None.
    stock: whether it is a task of lm-eval, which needs no --include_path and no options.
    """
    return {
        "command": _command(run, task, stock),
        "backend": run.backend,
        "model_args": published_arguments(run),
        "device": run.device,
        "batch_size": run.batch_size,
        "seeds": run.seeds,
        "versions": run.versions,
        "hardware": run.hardware,
        "date": run.date,
        "wall_time_seconds": run.seconds,
        "chat_template_sha": run.chat_template,
        "system_instruction_sha": run.system_prompt,
        "results": {"file": run.path.name, "sha256": run.sha256},
    }


def published_arguments(run: Run) -> dict[str, Any]:
    """The model arguments of a run that may be published."""
    return {
        key: _without_folder(value)
        for key, value in sorted(run.arguments.items())
        if key in _PUBLISHED
    }


def _command(run: Run, task: Task, stock: bool) -> str:
    """The command that repeats the run, rebuilt from what lm-eval recorded of it."""
    metadata = {} if stock else task.metadata
    options = {
        key: metadata[key] if key == "methods" else _without_folder(metadata[key])
        for key in _OPTIONS
        if metadata.get(key) is not None
    }
    backend = str(run.backend)
    program = ["calibench", "eval"] if backend.startswith("calib-") else ["lm_eval", "run"]
    parts = [*program, "--model", backend]
    arguments = published_arguments(run)
    parts += ["--model_args", ",".join(f"{key}={value}" for key, value in arguments.items())]
    folder = "harness_tasks" if task.name in shipped_tasks() else "FOLDER_OF_THE_TASK"
    parts += [] if stock else ["--include_path", folder]
    parts += ["--tasks", task.name]
    parts += [] if task.num_fewshot is None else ["--num_fewshot", str(task.num_fewshot)]
    for name in ("batch_size", "device", "limit"):
        value = getattr(run, name)
        parts += [] if value is None else [f"--{name}", str(value)]
    if run.generation:
        parts += ["--gen_kwargs", json.dumps(run.generation, sort_keys=True)]
    if run.system_instruction:
        parts += ["--system_instruction", run.system_instruction]
    if run.chat_template:
        parts += ["--apply_chat_template"]
        parts += ["--fewshot_as_multiturn", "false"] if run.multiturn is False else []
    parts += ["--seed", ",".join(str(seed) for seed in run.seeds.values())]
    parts += ["--metadata", json.dumps(options, sort_keys=True)] if options else []
    return " ".join([*map(shlex.quote, parts), "--log_samples", "--output_path", "OUTPUT"])


def _without_folder(value: Any) -> Any:
    if isinstance(value, str):
        if value.startswith(_JUDGE):
            return _JUDGE + str(_without_folder(value.removeprefix(_JUDGE)))
        if "://" in value:
            return _without_credentials(value)
        if value.startswith("~") or PurePosixPath(value).is_absolute():
            return PurePosixPath(value).name
        return PureWindowsPath(value).name if PureWindowsPath(value).drive else value
    return value if isinstance(value, (bool, int, float, type(None))) else str(value)


def _without_credentials(url: str) -> str:
    """A URL without user, password, query and fragment; "" if it cannot be parsed.

    >>> _without_credentials("https://me:sesame@example.org:8000/v1?key=sesame")
    'https://example.org:8000/v1'
    """
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return ""
