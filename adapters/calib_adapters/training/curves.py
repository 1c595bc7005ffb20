"""Loss and perplexity during training: ``training_log.json`` and its figure."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from calib_metrics._figure import BLUE, DASHES, SOFT, VERMILION, headings, new_figure, save, style

SPEED = ("runtime", "samples_per_second", "steps_per_second")


def training_log(history: Iterable[Mapping[str, float]]) -> dict[str, list[dict[str, float]]]:
    """The Trainer's log by split.

    Returns:
        ``training`` and ``validation``: entries with ``step``, ``epoch``, ``loss`` (what is
        minimised; of the validation split the NLL, since penalties are not added there), where
        there is one ``nll`` (without penalties, in nats per unit) with ``perplexity`` = exp(nll),
        and what else was logged.
    """
    log: dict[str, list[dict[str, float]]] = {"training": [], "validation": []}
    for entry in history:
        if "loss" in entry:
            log["training"].append(_with_perplexity(dict(entry)))
        elif "eval_loss" in entry:
            values = {name.removeprefix("eval_"): value for name, value in entry.items()}
            kept = {name: value for name, value in values.items() if name not in SPEED}
            # The Trainer's own mean weights batches by rows, and counts some rows twice if
            # processes share them.
            kept["loss"] = kept["nll"]
            log["validation"].append(_with_perplexity(kept))
    return log


def _with_perplexity(entry: dict[str, float]) -> dict[str, float]:
    if entry.get("nll", math.inf) < 100:  # beyond that, exp overflows or means nothing
        entry["perplexity"] = math.exp(entry["nll"])
    return entry


def draw_curves(log: Mapping[str, list[dict[str, float]]], kept: float, stem: Path) -> bool:
    """Draw loss, NLL and perplexity over the epochs to ``stem.png`` and ``stem.svg``.

    Args:
        log: of `training_log`.
        kept: the epoch whose weights were kept.
        stem: path without the suffix.

    Returns:
        Whether a figure was drawn; without matplotlib there is a warning instead.
    """
    try:
        context = style()
    except ImportError as error:
        logging.getLogger(__name__).warning("no figure of the loss: %s", error)
        return False
    shown = [
        (name, label)
        for name, label in (("loss", "loss"), ("perplexity", "perplexity"))
        if any(name in entry for part in log.values() for entry in part)
    ]
    with context:
        figure = new_figure(7.5, 1 + 2.4 * len(shown))
        headings(figure, "Training", f"The weights after epoch {kept:g} were kept")
        for axes, (name, label) in zip(
            figure.subplots(len(shown), sharex=True, squeeze=False)[:, 0], shown, strict=True
        ):
            for part, look in (
                ("training", {"color": BLUE}),
                ("validation", {"color": VERMILION, "marker": "o", "markersize": 4}),
            ):
                points = [(e["epoch"], e[name]) for e in log[part] if name in e]
                if points:
                    axes.plot(*zip(*points, strict=True), label=part, **look)
            axes.axvline(kept, color=SOFT, linestyle=DASHES, linewidth=1)
            axes.set_ylabel(label)
            axes.legend(frameon=False, fontsize=8)
        axes.set_xlabel("epoch")
        save(figure, stem)
    return True
