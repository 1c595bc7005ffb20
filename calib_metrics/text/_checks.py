"""Input checks shared by all text scores, with errors that say what to change."""

from __future__ import annotations

from collections.abc import Sequence, Sized


def check_texts(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    allow_no_reference: bool = False,
) -> tuple[list[str], list[list[str]]]:
    """Return one text and its list of reference texts for each answer.

    Raises ValueError unless there are as many of both, at least one, and all of them are texts.
    """
    if isinstance(predictions, str) or isinstance(references, str):
        name = "predictions" if isinstance(predictions, str) else "references"
        raise ValueError(f"{name} is a single string: give a list with one entry per answer.")
    check_lengths(predictions, references)
    for place, (prediction, texts) in enumerate(zip(predictions, references, strict=True)):
        if not isinstance(prediction, str):
            raise ValueError(
                f"predictions[{place}] is {prediction!r}: give a string "
                "(an answer that was not given is the empty one)."
            )
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise ValueError(
                f"references[{place}] is {texts!r}: give a list of strings, even for a single one."
            )
        if not len(texts) and not allow_no_reference:
            raise ValueError(f"references[{place}] is empty: give at least one reference.")
    return list(predictions), [list(texts) for texts in references]


def check_lengths(predictions: Sized, references: Sized, name: str = "predictions") -> None:
    """Raise ValueError unless both hold the same number of entries, and at least one."""
    if len(predictions) != len(references):
        raise ValueError(
            f"{name} has {len(predictions)} entries and references has {len(references)}: "
            "give one of each per answer."
        )
    if not len(predictions):
        raise ValueError(f"{name} and references are empty: give at least one answer.")
