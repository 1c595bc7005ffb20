"""The history of CogCalib's indicator as a figure."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calib_metrics._figure import BLUE, DASHES, SOFT, VERMILION, headings, new_figure, save, style


def draw_indicator(history: Sequence[dict[str, Any]], stem: Path) -> None:
    """Draw the indicator over the steps to ``stem.png`` and ``stem.svg``.

    From top to bottom: threshold and NLL, the share of rows it classifies rightly, the share of
    known rows, and the size of the regulariser.

    Without matplotlib, or without a threshold, there is no figure, and a warning says so.
    """
    if not history:
        logging.getLogger(__name__).warning("no figure of the indicator: it has no threshold.")
        return
    try:
        context = style()
    except ImportError as error:
        logging.getLogger(__name__).warning("no figure of the indicator: %s", error)
        return
    with context:
        figure = new_figure(7.5, 8.4)
        headings(
            figure,
            "Which rows the model knows",
            f"A row is known if its NLL is at most the threshold, found on {history[0]['n']} "
            "calibration rows",
        )
        nll, right, share, effect = figure.subplots(4, sharex=True)
        steps = [entry["step"] for entry in history]

        def line(axes, values, label, **look):
            known = [np.nan if value is None else value for value in values]
            axes.plot(steps, known, marker="o", markersize=3, label=label, **look)

        line(nll, _column(history, "threshold"), "threshold", color=SOFT, linestyle=DASHES)
        line(nll, _column(history, "nll_known"), "known rows", color=BLUE)
        line(nll, _column(history, "nll_unknown"), "unknown rows", color=VERMILION)
        nll.set_ylabel("NLL in nats")
        line(right, _column(history, "accuracy"), "all rows", color=SOFT, linestyle=DASHES)
        line(right, _column(history, "tpr"), "known rows", color=BLUE)
        line(right, _column(history, "tnr"), "unknown rows", color=VERMILION)
        right.set_ylabel("told rightly")
        line(share, _column(history, "known"), "calibration rows, by answer", color=BLUE)
        since = [entry["training_since"] or {} for entry in history]
        trained = [rows.get("share_known") for rows in since]
        line(share, trained, "training rows since the last step shown, by NLL", color=VERMILION)
        share.set_ylabel("share known")
        added = [rows.get("penalty") for rows in since]
        line(effect, added, "the same rows, mean over tokens, before alpha", color=VERMILION)
        effect.set_ylabel("regulariser")
        effect.set_xlabel("training step")
        for axes in (right, share):
            axes.set_ylim(-0.03, 1.03)
        for axes in (nll, right, share, effect):
            axes.legend(frameon=False, fontsize=8)
        save(figure, stem)


def _column(history: Sequence[dict[str, Any]], name: str) -> list[float | None]:
    return [entry[name] for entry in history]
