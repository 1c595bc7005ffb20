"""All metrics by name: what `score` computes, and what everything else asks about a metric.

A metric is declared in the `METRICS` of the module that defines it, and a new module is listed in
`_MODULES`, in the order of lists and messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from calib_metrics import (
    calibration,
    compat,
    counts,
    cumulative,
    discrimination,
    selective,
    smooth,
)
from calib_metrics._checks import check_choice
from calib_metrics.metric import Metric

_MODULES = (counts, calibration, smooth, cumulative, discrimination, selective, compat)

METRICS: dict[str, Metric] = {
    metric.name: metric for module in _MODULES for metric in module.METRICS
}
# Without the definitions of others, such as "ece:guo17".
NAMES = tuple(name for name in METRICS if ":" not in name)


class Asked(NamedTuple):
    """A metric, and what follows "@" in the name that it was asked for by."""

    metric: Metric
    share: float | None


def check_metrics(metrics: str | Sequence[str]) -> list[str]:
    """Return the metrics as a list, or raise ValueError naming the first that does not exist."""
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in metrics:
        kind, at, share = name.partition("@")
        if at and kind in METRICS and METRICS[kind].share:
            if not re.fullmatch(r"0?\.\d+|1(\.0*)?", share) or float(share) == 0:
                raise ValueError(f"The metric {name!r} needs a share up to 1, as {kind}@0.8.")
            continue
        kind, colon, mode = name.partition(":")
        if colon and (modes := modes_of(kind)):
            check_choice(mode, f"the mode of {kind}", modes)
        else:
            check_choice(name, "a metric", NAMES)
    return metrics


def modes_of(name: str) -> tuple[str, ...]:
    """Return the definitions of others that a metric has: what may follow its name and ":"."""
    return tuple(each.partition(":")[2] for each in METRICS if each.startswith(f"{name}:"))


def find(name: str) -> Asked:
    """Return the metric of a name that `check_metrics` lets pass."""
    kind, at, share = name.partition("@")
    return Asked(METRICS[kind], float(share) if at else None)


def meant(name: str) -> Metric | None:
    """Return the metric that a name means, whatever follows "@" or ":"; None if it is no metric."""
    return METRICS.get(re.split("[@:]", name)[0])


def may_merge(metrics: Iterable[str]) -> bool:
    """Whether none of the metrics tells equal rows apart."""
    return all(find(name).metric.merges for name in metrics)
