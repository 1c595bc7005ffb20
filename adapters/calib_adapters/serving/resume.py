"""Resume a killed ``calibench eval``.

Each response goes into a journal in the user's cache as soon as the back end has it. The journal is
deleted once the results are saved. When the same command runs again, it reads the responses there
and asks the model only for the others.

The key of a response covers everything that it can depend on: the model (`model_identity`), the
versions of the libraries, the command's tasks and options, the type of the request, its prompt and
its generation settings. It leaves out the batch size and the output path, so that a run that ran
out of memory or disk space can resume with other ones.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from importlib import metadata
from pathlib import Path
from typing import Any

from lm_eval.api.model import LM
from lm_eval.config.evaluate_config import EvaluatorConfig

from calib_adapters.serving.journal import DAYS, SUFFIX, Busy, Journal, remove, remove_stale
from calib_adapters.serving.recorded import digest_of, recorded
from harness_tasks.elicitation.response_cache import model_identity
from harness_tasks.embedded_models.cache import default_cache

ASKED = (
    "model", "tasks", "include_path", "num_fewshot", "limit", "samples", "system_instruction",
    "apply_chat_template", "fewshot_as_multiturn", "gen_kwargs", "seed", "metadata",
)  # fmt: skip
LIBRARIES = ("calibench", "lm_eval", "torch", "transformers", "peft", "vllm", "sglang")
eval_logger = logging.getLogger(__name__)


@contextmanager
def resumable(config: EvaluatorConfig) -> Iterator[Callable[[Callable], Callable]]:
    """Context manager: yields a wrapper of ``lm_eval.evaluator.evaluate`` that keeps responses.

    The responses are deleted at the end of the block. After an error they stay for the next run.
    """
    # Now: lm-eval writes into its arguments.
    asked = json.dumps([getattr(config, name) for name in ASKED], sort_keys=True, default=str)
    opened: list[Journal] = []

    def wrap(evaluate: Callable) -> Callable:
        @wraps(evaluate)
        def kept(lm: LM, *args: Any, **options: Any) -> Any:
            journal = None if config.use_cache else _journal_of(lm, config, asked)
            if journal is None:
                return evaluate(lm, *args, **options)
            opened.append(journal)
            with recorded(lm, journal):
                return evaluate(lm, *args, **options)

        return kept

    try:
        yield wrap
    except BaseException:
        for journal in opened:
            journal.close()
            if journal.size:
                eval_logger.warning(
                    f"What the model has said is kept for {DAYS} days; the same command goes on "
                    f"from there."
                )
        raise
    for journal in opened:
        if "-0of" in journal.path.name:  # the process that saves the results, for all
            for path in journal.path.parent.glob(f"{journal.path.name.partition('-')[0]}-*"):
                if path.suffix == SUFFIX and path != journal.path:
                    remove(path)
            journal.remove()
        else:
            journal.close()


def _journal_of(lm: LM, config: EvaluatorConfig, asked: str) -> Journal | None:
    """The journal of this model and command; ``None``, and the log says why, if there is none."""
    if not _asked_alone(lm):
        _warn("the model is spread over processes, which must all ask it the same")
        return None
    if (identity := model_identity(lm)) is None:
        _warn(f"the model {type(lm).__name__} does not say what it is")
        return None
    owner = digest_of([identity, asked, _versions(), _files(lm, config)])
    try:
        folder = default_cache() / "responses"
        remove_stale(folder)
        return Journal(folder / f"{owner}-{lm.rank}of{lm.world_size}{SUFFIX}")
    except Busy:
        _warn("another process runs the same command")
    except OSError as error:
        _warn(f"the cache cannot be written ({error})")
    return None


def _warn(reason: str) -> None:
    eval_logger.warning(f"If this run is killed, it starts again from the beginning: {reason}.")


def _asked_alone(lm: LM) -> bool:
    """Return whether one process can ask the model independently of the others.

    It can if each process has a whole model. If the weights are sharded, every pass needs all
    processes, and they may have been killed at different requests.
    """
    if lm.world_size == 1:
        return int(os.environ.get("WORLD_SIZE", "1")) == 1
    model: Any = getattr(lm, "_model", None)
    kind = type(model).__module__
    parameters = model.parameters() if hasattr(model, "parameters") else ()
    return not (
        kind.startswith(("torch.distributed.fsdp", "deepspeed"))
        or any(hasattr(each, "to_local") or hasattr(each, "ds_id") for each in parameters)
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _files(lm: LM, config: EvaluatorConfig) -> list[Any]:
    """Return names, sizes and times of the model's local files, for weights that cannot be read."""
    torch = sys.modules.get("torch")
    if torch and any(isinstance(value, torch.nn.Module) for value in vars(lm).values()):
        return []
    found = []
    for value in dict(config.model_args or {}).values():
        path = Path(str(value))
        with suppress(OSError, ValueError):
            files = sorted(path.iterdir()) if path.is_dir() else [path]
            stats = [(str(file), file.stat()) for file in files if file.is_file()]
            found.append([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])
    return found
