"""All metrics by name.

Each module declares its metrics in `METRICS`. A new module's are added to `_DECLARED`, which
sets the order in lists and messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from calib_metrics._checks import check_choice
from calib_metrics.abstention import METRICS as ABSTENTION
from calib_metrics.calibration import METRICS as CALIBRATION
from calib_metrics.compat import METRICS as COMPAT
from calib_metrics.counts import METRICS as COUNTS
from calib_metrics.cumulative import METRICS as CUMULATIVE
from calib_metrics.discrimination import METRICS as DISCRIMINATION
from calib_metrics.metric import Metric
from calib_metrics.selective import METRICS as SELECTIVE
from calib_metrics.skill import METRICS as SKILL
from calib_metrics.smooth import METRICS as SMOOTH

_DECLARED = (
    COUNTS, CALIBRATION, SKILL, SMOOTH, CUMULATIVE, DISCRIMINATION, SELECTIVE, ABSTENTION, COMPAT,
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for each in _DECLARED for metric in each}
# Without other libraries' definitions, such as "ece:guo17".
NAMES = tuple(name for name in METRICS if ":" not in name)


class Asked(NamedTuple):
    """A metric, and the number after "@" in the requested name."""

    metric: Metric
    share: float | None


def check_metrics(metrics: str | Sequence[str]) -> list[str]:
    """Return the metrics as a list; raise ValueError naming the first that does not exist."""
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
    """Return the other definitions of a metric: what may follow its name and ":"."""
    return tuple(each.partition(":")[2] for each in METRICS if each.startswith(f"{name}:"))


def find(name: str) -> Asked:
    """Return the metric of a name that `check_metrics` accepts."""
    kind, at, share = name.partition("@")
    return Asked(METRICS[kind], float(share) if at else None)


def find_or_none(name: str) -> Metric | None:
    """Return the metric that a name means, whatever follows "@" or ":"; None if there is none."""
    return METRICS.get(re.split("[@:]", name)[0])


def may_merge(metrics: Iterable[str]) -> bool:
    """Whether all the metrics treat equal rows alike."""
    return all(find(name).metric.merges for name in metrics)
