"""One example of a prepared data set, wherever it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import datasets

ROLES = ("train", "validation", "calibration", "test")

_TEXTS = datasets.List(datasets.Value("string"))
FEATURES = datasets.Features(
    {
        **{name: datasets.Value("string") for name in ("id", "task", "split")},
        **{name: datasets.Value("string") for name in ("prompt", "completion")},
        "options": _TEXTS,
        "answers": _TEXTS,
        "messages": datasets.List({name: datasets.Value("string") for name in ("role", "content")}),
    }
)


@dataclass(frozen=True)
class Row:
    """What the model is shown and what it should write.

    Attributes:
        id: unique in its task and split; that of the document, or of the record.
        prompt: exactly what the model is shown, before any chat template.
        completion: what it should write, with the delimiter that stands before it.
        options: the completions of all options of a multiple-choice question, else None.
        answers: the accepted texts of an open-ended question of a task, else None.
        messages: the whole conversation, the reply included, else None.
        subject: what two rows share if one would give away the other; such rows never land in
            different splits.
        place: position of the document in the split that it came from.
        extra: further columns.
    """

    id: str
    prompt: str
    completion: str
    subject: str
    place: int
    options: tuple[str, ...] | None = None
    answers: tuple[str, ...] | None = None
    messages: tuple[Mapping[str, str], ...] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def content(self) -> tuple:
        """What makes two rows the same example."""
        turns = tuple((turn["role"], turn["content"]) for turn in self.messages or ())
        return self.prompt, self.completion, self.options, turns


@dataclass(frozen=True)
class Source:
    """Where rows come from: a task, a file or a data set on the Hub.

    Attributes:
        name: what the rows call their task.
        available: the splits there are.
        own: the split that each role has by itself.
        scored: the split that the harness scores the task on; training on the whole of it is
            refused.
        shares: of the roles, by default, where rows are divided.
        read: the usable rows of a split, and how many were left out, by reason.
        facts: provenance for ``prepared.json``.
    """

    name: str
    available: Sequence[str]
    own: Mapping[str, str]
    scored: str | None
    shares: Mapping[str, float]
    read: Callable[[str], tuple[list[Row], Mapping[str, int]]]
    facts: Mapping[str, Any]


def to_dataset(
    splits: Mapping[str, Mapping[str, Sequence[Row]]],
    extra: Mapping[str, Any] | None = None,
) -> datasets.DatasetDict:
    """Rows, by role and source, as a data set; splits without rows are left out.

    Args:
        splits: the rows.
        extra: features of the rows' further columns.

    Raises:
        ValueError: no rows for training, or none for validation.
    """
    features = datasets.Features({**FEATURES, **(extra or {})})
    columns = [name for name in FEATURES if name not in ("task", "split")]
    filled = {}
    for role, by_task in splits.items():
        records = [
            {"task": task, "split": role, **{name: getattr(row, name) for name in columns}}
            | row.extra
            for task, rows in by_task.items()
            for row in rows
        ]
        if records:
            filled[role] = datasets.Dataset.from_list(records, features)
    for role in ("train", "validation"):
        if role not in filled:
            raise ValueError(
                f"no rows are left for {role}; give more data, other --shares, or a split for it "
                f"with --split {role}=NAME."
            )
    return datasets.DatasetDict(filled)
