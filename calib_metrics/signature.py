"""The options that change a score, and the signature that states them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from calib_metrics._checks import check_choice, check_count
from calib_metrics.bins import STRATEGIES
from calib_metrics.calibration import NORMS
from calib_metrics.intervals import INTERVALS
from calib_metrics.metric import BINNING
from calib_metrics.registry import find

SIGNATURE_VERSION = "0.2"  # in every signature: raise it when what a score means changes


@dataclass(frozen=True)
class Options:
    """The options of `score` and `compare` apart from the metrics; see `score`."""

    bins: int = 10
    strategy: str = "width"
    norm: str = "l1"
    debias: bool = False
    resamples: int = 1000
    interval: str = "percentile"
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice(self.strategy, "strategy", STRATEGIES)
        check_choice(self.norm, "norm", NORMS)
        check_choice(self.interval, "interval", INTERVALS)
        check_count(self.bins, "bins", 1)
        check_count(self.resamples, "resamples", 0)
        check_count(self.seed, "seed", 0)
        if not 0 < self.level < 1:
            raise ValueError(f"level is {self.level!r}: give a share between 0 and 1, as 0.95.")

    @property
    def binning(self) -> dict[str, Any]:
        """The options that are parameters of metrics, the same as for `ece`."""
        return {name: getattr(self, name) for name in BINNING}


def check_method(method: str) -> None:
    """Raise ValueError if the name of a method would break a signature."""
    if "|" in method:
        raise ValueError(f"method is {method!r}: leave out '|', which separates a signature.")


def make_signature(
    name: str, n: int, method: str, missing: str, clusters: int | None, options: Options
) -> str:
    """Return everything that changes a score, as "key:value" joined by "|"."""
    metric, share = find(name)
    parts = [metric.name, *metric.describe(**metric.parameters(options.binning, share))]
    if metric.of_confidence and method:
        parts.append(f"conf:{method}")
    if not metric.all_rows:
        parts.append(f"missing:{missing}")
    parts += [f"n:{n}", f"v:{SIGNATURE_VERSION}"]
    if options.resamples:
        parts += [f"boot:{options.resamples}", f"seed:{options.seed}"]
        parts += [] if clusters is None else [f"clusters:{clusters}"]
        parts += [] if options.interval == "percentile" else [f"interval:{options.interval}"]
        parts += [] if options.level == 0.95 else [f"level:{options.level:g}"]
    return "|".join(parts)
