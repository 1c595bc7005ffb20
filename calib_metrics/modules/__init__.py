"""The metrics as modules for Hugging Face `evaluate`, one folder each, with its metric card.

    evaluate.load(calib_metrics.modules.path("ece"))

`evaluate` copies a module's file into its cache and runs it there, so the files hold names and
citations, and their common code is here. None of it needs the network.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from calib_metrics._checks import check_choice
from calib_metrics.registry import METRICS
from calib_metrics.scores import score

if TYPE_CHECKING:
    import evaluate

# The modules, and what `score` calls each.
NAMES = {metric.module: metric.name for metric in METRICS.values() if metric.module}

_INPUTS = """
Args:
    predictions: confidences in [0, 1], one per answer: the probability that it is correct.
    references: 1 where the answer is correct, 0 where it is not.
    interval: True, or the kind of bootstrap interval ("percentile", "bca"), adds the interval, the
        standard error, the counts and the signature to the result. Default False.
    missing: "error" (default) refuses None and NaN as confidences; "exclude" leaves those rows out.
    **options: any further option of `calib_metrics.score` (bins, strategy, norm, resamples, level,
        seed). Those that do not concern this metric change nothing, so that one call serves all
        metrics of `evaluate.combine`.
Returns:
    A dict with the value under the metric's name and, with an interval, <name>_low, <name>_high,
    <name>_stderr, <name>_n, <name>_n_missing and <name>_signature.
"""


def path(name: str) -> str:
    """Return the folder of a module, for `evaluate.load`.

    Raises ValueError when there is none of that name.
    """
    check_choice(name, "the module", tuple(NAMES))
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), name)


def info(description: str, citation: str, url: str) -> evaluate.MetricInfo:
    """Describe a module: its own description, and the inputs that all modules share."""
    import datasets
    import evaluate

    # Not "int32" for the references: that would cut 0.5 down to 0 before anyone could object. And
    # no format="numpy": that makes them float32, in which 0.9 lies in the bin below 0.9.
    number = datasets.Value("float64")
    return evaluate.MetricInfo(
        description=description,
        citation=citation,
        inputs_description=_INPUTS,
        features=datasets.Features({"predictions": number, "references": number}),
        reference_urls=[url],
    )


def compute(
    name: str,
    predictions: ArrayLike,
    references: ArrayLike,
    *,
    interval: bool | str = False,
    missing: str = "error",
    **options: Any,
) -> dict[str, float | int | str]:
    """Return a module's result for confidences (`predictions`) and grades (`references`).

    name: of `NAMES`. The other arguments and the keys of the result: as each module documents.
    Raises ValueError on bad input, TypeError for an option that `score` does not have.
    """
    if not interval:
        options["resamples"] = 0
    elif interval is not True:
        options["interval"] = interval
    asked = NAMES[name]
    found = score(predictions, references, (asked,), missing=missing, **options)[asked]
    result: dict[str, float | int | str] = {name: found.value}
    if interval:
        for key in ("low", "high", "stderr", "n", "n_missing", "signature"):
            result[f"{name}_{key}"] = getattr(found, key)
    return result
