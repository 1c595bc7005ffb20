"""Graded rows as token ids, exactly as lm-eval scores them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import datasets
from transformers import PreTrainedTokenizerBase

from calib_adapters.training import tokenizer as texts


def encode_rows(rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase) -> datasets.Dataset:
    """Tokenise the queries of a graded split.

    Returns:
        A dataset with ``input_ids`` (the query, up to the token before the reply), ``yes`` and
        ``no`` (ids of the two replies, their first token if there are several), ``yes_tail`` and
        ``no_tail`` (their further tokens), ``answer_ids`` (the prompt that was answered, with the
        answer), ``answer_positions`` (indices in it whose next-token distributions predict the
        answer and its end), ``label`` and ``length`` (tokens of both).

    Raises:
        ValueError: the tokenizer cannot write the two replies, cannot tell them apart, or is not a
            fast one.
    """
    return encode_each(rows, tokenizer, _encode)


def encode_each(
    rows: datasets.Dataset,
    tokenizer: PreTrainedTokenizerBase,
    encode: Callable[[dict[str, Any], PreTrainedTokenizerBase], dict[str, Any]],
) -> datasets.Dataset:
    """A dataset of what `encode` makes of each row.

    Raises:
        ValueError: the tokenizer is not a fast one.
    """
    if not tokenizer.is_fast:
        raise ValueError(
            "the model's tokenizer gives no character offsets; a fast tokenizer is needed."
        )
    # In memory: a cache in the user's dataset folder would outlive a change of this module.
    return rows.map(
        lambda row: encode(row, tokenizer),
        remove_columns=rows.column_names,
        keep_in_memory=True,
        load_from_cache_file=False,
        desc="Tokenising",
    )


def _encode(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    query, yes, no = row["query"], row["yes"], row["no"]
    bare = query.rstrip()  # trailing white space belongs to the reply, as in lm-eval
    spaces = query[len(bare) :]
    prompt = tokens(bare, tokenizer)
    yes_ids = tokens(bare + spaces + yes, tokenizer)["input_ids"][len(prompt["input_ids"]) :]
    no_ids = tokens(bare + spaces + no, tokenizer)["input_ids"][len(prompt["input_ids"]) :]
    shared = 0
    while shared < min(len(yes_ids), len(no_ids)) and yes_ids[shared] == no_ids[shared]:
        shared += 1
    if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in yes_ids + no_ids:
        raise ValueError(
            f"the tokenizer has no tokens for the replies {yes!r} and {no!r}: it writes "
            f"{tokenizer.unk_token!r} instead; use the model's own tokenizer, or another wording."
        )
    if shared in (len(yes_ids), len(no_ids)):
        if yes_ids == no_ids:
            raise ValueError(
                f"the tokenizer writes the replies {yes!r} and {no!r} with the same tokens "
                f"({yes_ids}), so no wording can tell them apart; use another tokenizer."
            )
        raise ValueError(
            f"the tokenizer writes the replies {yes!r} and {no!r} with tokens such that one "
            "reply begins with the other, so a single read-out cannot tell them apart; choose "
            "another wording."
        )
    input_ids = prompt["input_ids"] + yes_ids[:shared]
    answered = encode_answer(row, tokenizer)
    return {
        "input_ids": input_ids,
        "yes": yes_ids[shared],
        "no": no_ids[shared],
        "yes_tail": yes_ids[shared + 1 :],
        "no_tail": no_ids[shared + 1 :],
        **answered,
        "label": float(row["correct"]),
        "length": len(input_ids) + len(answered["answer_ids"]),
    }


def encode_answer(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """``answer_ids`` and ``answer_positions`` of a row, as in `encode_rows`."""
    answered = tokens(row["context"] + row["answer_text"], tokenizer)
    return {
        "answer_ids": answered["input_ids"],
        "answer_positions": _answer_positions(row, answered["offset_mapping"]),
    }


def tokens(text: str, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Ids (``input_ids``) and character offsets (``offset_mapping``) of `text`, as in lm-eval."""
    found = texts.tokens([text], tokenizer, return_offsets_mapping=True)
    return {name: found[name][0] for name in ("input_ids", "offset_mapping")}


def _answer_positions(row: dict[str, Any], offsets: list[tuple[int, int]]) -> list[int]:
    """Positions that predict the answer's tokens and its end; for an empty answer, its end."""
    start = len(row["context"])
    inside = [i for i, (_, last) in enumerate(offsets) if last > start]
    return [i - 1 for i in inside if i > 0] + [len(offsets) - 1]
