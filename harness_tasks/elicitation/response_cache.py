"""lm-eval's cache of responses (``--use_cache``), keyed by the model that gave them.

lm-eval keys a response only by the text of its request, so a run with an adapter would get the
responses of the base model and repeat its numbers (EleutherAI/lm-evaluation-harness#4063).
Importing this module adds the following to every key, for all tasks of the process:

* everything that determines the model's output: its weights, including adapters, as they are in
  memory (a folder may have been overwritten), configurations, tokenizer and options; for a model
  behind an API, only its name, address and options;
* the type of the request: `calib-hf` may send one text to the base model and to an adapter.

Entries of another model, and entries written without this module, are never used. Concurrency and
device are not in the key: an interrupted run may continue with other values.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM, CachingLM

from harness_tasks.elicitation.ending import Reply

eval_logger = logging.getLogger(__name__)

CACHED = ("loglikelihood", "loglikelihood_rolling", "generate_until")
# Attributes of back ends that have no effect, or next to none, on a model's replies.
INDIFFERENT = frozenset(
    "_rank _world_size _device accelerator cache_hook batch_size batch_size_per_gpu batch_sizes "
    "batch_schedule max_batch_size _batch_size _concurrent max_retries timeout verify_certificate "
    "ca_cert_path auth_token _header".split()
)
# Attributes in which a back end without weights in this process names its model.
NAMES = ("pretrained", "model", "model_args", "model_name", "base_url")


class _Entries:
    """The part of the cache that belongs to one owner, as `CachingLM` and its hook use it."""

    def __init__(self, stored: Any, owner: str):
        self._stored = stored
        self._owner = owner

    def __contains__(self, key: str) -> bool:
        return f"{self._owner}:{key}" in self._stored

    def __getitem__(self, key: str) -> Any:
        response = self._stored[f"{self._owner}:{key}"]
        return Reply(**response) if isinstance(response, dict) else response

    def __setitem__(self, key: str, response: Any) -> None:
        if isinstance(response, Reply):  # how it ended is part of the response
            response = {"text": str(response), **vars(response)}
        self._stored[f"{self._owner}:{key}"] = response

    def commit(self) -> None:
        self._stored.commit()


def _keyed(kind: str) -> Callable[[CachingLM, list[Instance]], list]:
    """`CachingLM`'s method of the name `kind`, over the entries of this model and request type."""

    def run(lm: CachingLM, requests: list[Instance]) -> list:
        stored, hook = lm.dbdict, lm.lm.cache_hook
        types = sorted({request.request_type for request in requests})
        lm.dbdict = hook.dbdict = _Entries(stored, _digest([_owner(lm), types]))
        try:
            return lm.__getattr__(kind)(requests)
        finally:
            lm.dbdict = hook.dbdict = stored

    return run


def _owner(lm: CachingLM) -> str:
    """`model_identity` of the model behind the cache, computed once."""
    if "_owner" not in vars(lm):
        lm._owner = model_identity(lm.lm)
        if lm._owner is None:
            lm._owner = uuid.uuid4().hex
            eval_logger.warning(
                "--use_cache: the model %s cannot be identified, so responses of earlier runs "
                "may be another model's. None of them is used.",
                type(lm.lm).__name__,
            )
    return lm._owner


def model_identity(lm: LM) -> str | None:
    """A sha256 of everything that determines the responses of `lm`.

    Two models with the same identity respond alike, as far as this can be checked here. All weights
    are read, at about one second per gigabyte and core.

    Returns:
        The identity, or ``None`` for a model that has neither weights nor a name.
    """
    shown = {name: value for name, value in vars(lm).items() if name not in INDIFFERENT}
    known = any(_is_module(value) for value in shown.values())
    if not known and not any(shown.get(name) for name in NAMES):
        return None
    kind = type(lm)
    return _digest([f"{kind.__module__}.{kind.__qualname__}", _described(shown)])


def _digest(content: Any) -> str:
    return _sha256(json.dumps(content, sort_keys=True, default=str))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _described(value: Any) -> Any:
    """`value` as JSON values, the same in every process; opaque objects become their type."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if _is_module(value):
        return _described_module(value)
    if hasattr(value, "backend_tokenizer"):
        rules = json.loads(value.backend_tokenizer.to_str())
        for set_by_the_last_batch in ("padding", "truncation"):
            rules.pop(set_by_the_last_batch, None)
        # Unsorted: sorting a vocabulary takes as long as reading a model's weights.
        return [_sha256(json.dumps(rules)), _described(value.init_kwargs)]
    if hasattr(value, "get_vocab") and hasattr(value, "init_kwargs"):
        return [value.get_vocab(), _described(value.init_kwargs)]
    if hasattr(value, "to_dict"):
        return _described(value.to_dict())
    if isinstance(value, Mapping):
        return {str(key): _described(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_described(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(str(_described(item)) for item in value)
    text = repr(value)
    return f"a {type(value).__qualname__}" if " at 0x" in text else text


def _is_module(value: Any) -> bool:
    torch = sys.modules.get("torch")  # a back end without it has no weights to read
    return torch is not None and isinstance(value, torch.nn.Module)


def _described_module(module: Any) -> Any:
    configurations = {
        name: _described(getattr(module, name, None))
        for name in ("config", "generation_config", "peft_config", "p")
    }
    return [
        type(module).__qualname__,
        configurations,
        _read([*module.named_parameters(), *module.named_buffers()]),
    ]


def _read(tensors: Iterable[tuple[str, Any]]) -> str:
    """sha256 over names, shapes and contents of tensors."""
    digest = hashlib.sha256()
    with ThreadPoolExecutor() as pool:  # hashlib releases the interpreter lock
        for described, content in pool.map(_read_one, tensors):
            digest.update(described.encode() + content)
    return digest.hexdigest()


def _read_one(named: tuple[str, Any]) -> tuple[str, bytes]:
    import torch

    name, tensor = named
    local = tensor.to_local() if hasattr(tensor, "to_local") else tensor  # sharded over processes
    content = b""
    if not local.is_meta:  # offloaded to disk: only its name is used
        numbers = local.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        content = hashlib.sha256(numbers).digest()
    return f"{name} {tuple(tensor.shape)} {tensor.dtype}\n", content


for _kind in CACHED:
    # Defined in the class, they take precedence over CachingLM.__getattr__.
    setattr(CachingLM, _kind, _keyed(_kind))
