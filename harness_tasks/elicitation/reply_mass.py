"""The probability of the two replies to a yes/no question, and a warning where it is small.

The read-out P(yes) / (P(yes) + P(no)) is defined however small both are. Where the model would
rather write something else, the ratio says little about the question, and does not show it.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

MASS = "mass"
OTHER = "other_mass"
ENOUGH = 0.5
eval_logger = logging.getLogger(__name__)


def masses(mass: float) -> dict[str, float]:
    """The probability of the two replies together, and of everything else.

    >>> masses(0.75)
    {'mass': 0.75, 'other_mass': 0.25}
    """
    mass = min(1.0, mass)  # rounding errors
    return {MASS: mass, OTHER: 1 - mass}


def warn_of_other_replies(
    task: str, records: Iterable[Mapping[str, Mapping[str, Any] | None]]
) -> None:
    """Warn, for each method, if the two replies together have less than half in most questions.

    Args:
        task: its name.
        records: of each question, by method.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for by_method in records:
        for method, record in by_method.items():
            if record is not None and MASS in record:
                found[method].append(record[MASS])
    for method, values in found.items():
        few = sum(value < ENOUGH for value in values)
        if 2 * few > len(values):
            mean = math.fsum(values) / len(values)
            eval_logger.warning(
                "%s: %s asks yes or no, and in %d of %d questions the two replies together have "
                "less than half of the probability (%.3g on average): the model would rather write "
                "something else, so do not trust the confidence. Another 'wording', "
                "--apply_chat_template or tuning may help; the log has '%s' for each question.",
                task,
                method,
                few,
                len(values),
                mean,
                MASS,
            )
