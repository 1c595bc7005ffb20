"""Graded rows of stated numbers: their tokens, and the number that each should be."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from calib_adapters.calibration.encode import encode_answer, tokens
from calib_adapters.calibration.numbers import Numbers, tree
from calib_adapters.calibration.rows import GradedRows
from calib_adapters.calibration.stated_loss import binned_accuracy, nearest
from calib_adapters.data.grade import END, FORM
from calib_adapters.training.schema import StatedObjective


def stated_numbers(
    graded: GradedRows, percents: range, tokenizer: PreTrainedTokenizerBase
) -> tuple[Numbers, list[list[int]]]:
    """The tree of `percents` in the form of the first row's replies, and their tokens.

    The first token of what follows a reply is the last one of each: the model learns to stop there.
    """
    row = graded.train[0]
    replies = _replies(row, [row[FORM].format(n) for n in percents], tokenizer)[1]
    if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in sum(replies, []):
        raise ValueError(
            f"the tokenizer has no tokens for numbers such as {row[FORM].format(50)!r}: it writes "
            f"{tokenizer.unk_token!r} instead; use the model's own tokenizer."
        )
    return tree([n / 100 for n in percents], replies), replies


def _replies(
    row: dict[str, Any], replies: list[str], tokenizer: PreTrainedTokenizerBase
) -> tuple[list[int], list[list[int]]]:
    """Token ids of the query, and of each reply behind it with its end, as lm-eval scores them."""
    query, end = row["query"], row.get(END, "")
    bare = query.rstrip()  # trailing white space belongs to the reply
    spaces = query[len(bare) :]
    prompt = tokens(bare, tokenizer)["input_ids"]
    written = []
    for reply in replies:
        text = bare + spaces + reply
        found = tokens(text + end, tokenizer)
        count = sum(last <= len(text) for _, last in found["offset_mapping"])
        written.append(found["input_ids"][len(prompt) : count + 1])
    return prompt, written


def encode_stated(
    row: dict[str, Any],
    tokenizer: PreTrainedTokenizerBase,
    replies: list[list[int]],
    values: Tensor,
) -> dict[str, Any]:
    """A row as token ids: as `encode.encode_rows`, with ``target`` in place of the replies.

    Raises:
        ValueError: the numbers are written with other tokens than `replies`.
    """
    texts = [row[FORM].format(f"{100 * value:.0f}") for value in values.tolist()]
    prompt, own = _replies(row, texts, tokenizer)
    if own != replies:
        raise ValueError(
            f"the tokenizer writes {texts[-1]!r} with other tokens behind the question about "
            f"{row['id']!r} than behind the first one; train on answers that were all asked about "
            f"in the same form."
        )
    answered = encode_answer(row, tokenizer)
    return {
        "input_ids": prompt,
        **answered,
        "label": float(row["correct"]),
        "target": row.get("target", 0),
        "length": len(prompt) + len(answered["answer_ids"]),
    }


def with_targets(graded: GradedRows, objective: StatedObjective) -> GradedRows:
    """The rows with ``target``, the index of the number to say, for the cross-entropy.

    Raises:
        ValueError: the confidences that the target is made of were not logged.
    """
    if objective.loss != "cross_entropy":
        return graded
    train, name = graded.train, objective.target
    correct = np.asarray(train["correct"], dtype=np.int_)
    shares = correct.astype(np.float64)
    if name != "graded":
        if name not in train.column_names:
            raise ValueError(
                f"objective.target={name} needs that method's confidences beside the answers: ask "
                f'the train split with --metadata \'{{"methods": ["verbalized", "{name}"]}}\' and '
                f"grade it again, or set objective.target=graded, or objective.loss=brier."
            )
        kept = [i for i, signal in enumerate(train[name]) if signal is not None]
        if len(kept) < len(train):
            logging.getLogger(__name__).warning(
                "%d of %d training answers are left out: %s has no confidence for them.",
                len(train) - len(kept),
                len(train),
                name,
            )
        train, correct = train.select(kept, keep_in_memory=True), correct[kept]
        shares = binned_accuracy(np.asarray(train[name]), correct, objective.bins)
    values = torch.arange(0, 101, objective.step) / 100
    train = train.add_column("target", nearest(shares, values))
    return GradedRows(train, graded.validation, {**graded.facts, "train": len(train)})
