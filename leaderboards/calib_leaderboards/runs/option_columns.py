"""The confidences in the log of a multiple-choice task of lm-eval's own: softmax over options."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness_tasks.stock_logs.content import NoConfidence
from harness_tasks.stock_logs.lm_eval import read_table

Floats = NDArray[np.float64]
# How each of lm-eval's accuracies chooses, and so what the softmax is over.
SIGNATURES = {
    "acc": "softmax:options|norm:none",
    "acc_norm": "softmax:options|norm:characters",
    "acc_bytes": "softmax:options|norm:bytes",
}
_log = logging.getLogger(__name__)


class OptionColumn(NamedTuple):
    """A confidence for each question (NaN: none), and whether the answer is correct."""

    confidence: Floats
    correct: Floats


def option_columns(file: Path, ids: Sequence[str]) -> dict[str, OptionColumn]:
    """The confidences that a log holds, by the accuracy that chooses the answers.

    ids: the numbers of the documents, in the order of the columns. Empty for a log that holds none;
    a warning says why where it has options but they do not give lm-eval's verdicts.
    """
    try:
        table = read_table(file)
    except NoConfidence:
        return {}
    except ValueError as error:
        _log.warning("%s: without confidences. %s", file.name, error)
        return {}
    places = {str(number): place for place, number in enumerate(table.fields["doc_id"])}
    order = np.array([places[key] for key in ids])
    return {
        name: OptionColumn(column.confidence[order], column.correct[order])
        for name, column in table.columns.items()
    }
