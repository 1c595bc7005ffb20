"""The undocumented parts of lm-eval that this project needs, in one place.

Nothing else in the project makes lm-eval requests, asks a task for its metrics or touches lm-eval's
templates. lm-eval 0.5 changes every one of these parts, hence ``lm_eval<0.5``;
``tests/tasks/test_lm_eval_contract.py`` has one test for each and names what has changed.

Names that 0.5 does not have are imported where they are used, so that one missing name does not
hide the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

BYPASS = {"bypass": None}
# What all requests of a document share, as keyword arguments of `Instance`.
Shared = dict[str, Any]


def shared(
    doc: Mapping[str, Any], task: str | None = None, doc_id: int | None = None, repeats: int = 1
) -> Shared:
    """The fields of a request that tie it to `doc`; it is run `repeats` times."""
    return {"doc": doc, "metadata": (task, doc_id, repeats)}


def shared_by(doc: Mapping[str, Any], options: Mapping[str, Any], repeats: int = 1) -> Shared:
    """The same from the keyword arguments that lm-eval gives to ``construct_requests``."""
    task, doc_id, _ = options["metadata"]
    return shared(doc, task, doc_id, repeats)


def repeated(instance: Mapping[str, Any], repeats: int) -> Shared:
    """`instance`, of `shared`, for a request that is run `repeats` times."""
    return shared_by(instance["doc"], instance, repeats)


def task_of(instance: Mapping[str, Any]) -> str:
    """Name of the task of `instance`, of `shared`."""
    return instance["metadata"][0]


def doc_id_of(instance: Mapping[str, Any]) -> int:
    """Row of the document of `instance`, of `shared`."""
    return instance["metadata"][1]


def request(
    kind: str, arguments: tuple, instance: Mapping[str, Any] | None = None, idx: int = 0
) -> Instance:
    """An lm-eval request; without `instance` one that belongs to no document."""
    return Instance(kind, arguments=arguments, idx=idx, **(instance or shared({})))


def metric_names(task: ConfigurableTask) -> Collection[str]:
    """The metrics that `task` computes: those of its file or, with --predict_only, "bypass"."""
    return task._metric_fn_list.keys()


def only_predicts(task: ConfigurableTask) -> bool:
    """Whether ``--predict_only`` replaced the metrics of `task`; its values are then `BYPASS`."""
    return "bypass" in metric_names(task)


def has_several_beginnings(task: ConfigurableTask) -> bool:
    """Whether `task` scores one ending after several beginnings, as Winogrande does."""
    return bool(task.multiple_input)


def put_filtered(
    instances: Iterable[Instance], found: Mapping[int, Mapping[str, Any]], names: Collection[str]
) -> None:
    """Give lm-eval the filtered responses: one filter per name, one response per document.

    lm-eval hands to ``process_results``, for each filter, the responses of all requests of a
    document. The first is that of `found`, by document and filter; the others are ``None``.
    """
    first: dict[int, Instance] = {}
    for instance in instances:
        instance.filtered_resps = dict.fromkeys(names)
        first.setdefault(instance.doc_id, instance)
    for doc_id, responses in found.items():
        first[doc_id].filtered_resps.update(responses)


def environment() -> Any:
    """The Jinja environment that compiles lm-eval's templates."""
    from lm_eval.utils import env

    return env
