"""The value of every metric by name, for the full sample and for resamples."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from calib_metrics.cells import Cells
from calib_metrics.metric import Floats, Resampled
from calib_metrics.registry import find
from calib_metrics.signature import Options


def plain_value(name: str, confidence: Floats, correct: Floats, options: Options) -> float:
    """Return the metric of the full sample; NaN with a UserWarning where it is undefined.

    confidence, correct: sorted as `check_rows` sorts them.
    """
    metric, share = find(name)
    if not metric.all_rows:
        given = confidence.size - int(
            np.count_nonzero(np.isnan(confidence))
        )  # missing confidences come last
        confidence, correct = confidence[:given], correct[:given]
        if given == 0:
            warnings.warn(f"{name} is undefined (NaN): no row has a confidence.", stacklevel=4)
            return math.nan
    return metric.value(confidence, correct, **metric.parameters(options.binning, share))


def resampled_metric(name: str, cells: Cells, options: Mapping[str, Any]) -> Resampled:
    """Return a function from the draws to the metric's value in each resample.

    options: bins, strategy, norm and debias of `ece`. A metric of the rows with a confidence is NaN
    in resamples without such rows.
    """
    metric, share = find(name)
    return metric.resampled(cells, **metric.parameters(options, share))
