"""Folders in the format that lm-eval writes, for the tests of the gate; and its command."""

import json

from click.testing import CliRunner

from calibench.cli import cli

TASK = "calib_worldfacts"
STAMP = "2025-01-02T03-04-05.678901"


def write_run(
    folder,
    rows,
    *,
    task=TASK,
    printed=None,
    version=1.0,
    shots=3,
    limit=None,
    answers=None,
    chat_template=None,
    directions=None,
    stamp=STAMP,
    dtype="float32",
    backend="hf",
    arguments=None,
    gen_kwargs=None,
    multiturn=None,
):
    """Write results_*.json and samples_*.jsonl, named as lm-eval names them; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    results = {
        "results": {task: {"alias": task, **(printed or {})}},
        "configs": {task: {"task": task, "metadata": {"answers": answers}}},
        "versions": {task: version},
        "n-shot": {task: shots},
        "n-samples": {},
        "higher_is_better": {task: directions or {}},
        "config": {
            "model": backend,
            "model_args": {"pretrained": "/m/Tiny", "dtype": "auto", **(arguments or {})},
            "gen_kwargs": gen_kwargs,
            "model_dtype": dtype and f"torch.{dtype}",
            "limit": limit,
        },
        "chat_template_sha": chat_template,
        "fewshot_as_multiturn": multiturn,
        "system_instruction_sha": None,
    }
    (folder / f"results_{stamp}.json").write_text(json.dumps(results), encoding="utf-8")
    log = folder / f"samples_{task}_{stamp}.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)  # of a name with slashes
    log.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def run_gate(*words):
    """The exit status of `calibench gate WORDS`, and all that it printed."""
    result = CliRunner().invoke(cli, ["gate", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output
