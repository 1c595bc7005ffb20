"""Prompts and completions as token ids, split where lm-eval splits them."""

from __future__ import annotations

from os.path import commonprefix
from typing import Any

import datasets
from transformers import PreTrainedTokenizerBase

from calib_adapters.training.schema import PromptData
from calib_adapters.training.tokenizer import template_arguments, tokens


def encode_rows(
    rows: datasets.Dataset,
    tokenizer: PreTrainedTokenizerBase,
    settings: PromptData,
    limit: int | None = None,
    candidates: bool = False,
) -> datasets.Dataset:
    """Tokenise prepared rows.

    Args:
        rows: of a prepared data set.
        tokenizer: of the model.
        settings: of the recipe: chat template, end of text, and the longest row.
        limit: most tokens that the model can take.
        candidates: whether to add the tokens of the options, or of the other accepted answers of
            a row without options; training needs neither.

    Returns:
        A dataset with ``input_ids`` (prompt and completion), ``start`` (the first token of the
        completion), ``ends`` (how many tokens at the end belong to the end of the text alone),
        ``classes`` (per completion token, the tokens that some option has there, if it begins as
        the completion does; empty without options), ``label`` (the right option, -1 without),
        ``candidates`` (per option, or accepted answer other than the completion, its whole row of
        tokens), ``task`` and ``length``. Rows with more tokens than ``data.max_tokens``, or than
        the model takes, are left out.

    Raises:
        ValueError: a row without a completion, a completion that is none of the options, or a
            chat template that cannot be used.
    """
    encoded = rows.map(
        lambda row: _encode(row, tokenizer, settings, candidates),
        remove_columns=rows.column_names,
        # In memory: a cache in the user's dataset folder would outlive a change of this module.
        keep_in_memory=True,
        load_from_cache_file=False,
        desc="Tokenising",
    )
    longest = min(n for n in (settings.max_tokens, limit, 10**9) if n)
    keep = [i for i, length in enumerate(encoded["length"]) if length <= longest]
    return encoded if len(keep) == len(encoded) else encoded.select(keep, keep_in_memory=True)


def _encode(
    row: dict[str, Any], tokenizer: PreTrainedTokenizerBase, settings: PromptData, candidates: bool
) -> dict[str, Any]:
    if not row["completion"].strip():
        raise ValueError(f"{_name(row)} has an empty completion.")
    options = row["options"] or []
    if options and row["completion"] not in options:
        raise ValueError(
            f"{_name(row)} has the completion {row['completion']!r}, which is none of its options "
            f"{options}."
        )
    chat = settings.chat_template == "always" or (
        settings.chat_template == "messages" and bool(row["messages"])
    )
    others = options or (_other_answers(row) if candidates else [])
    split = _split_chat if chat else _split_plain
    prompt, (completion, *written) = split(row, [row["completion"], *others], tokenizer)
    bare = written if options else []
    end: list[int] = []
    if settings.end_of_text == "always" or (settings.end_of_text == "open" and not options):
        end = _turn_end(row, tokenizer) if chat else [tokenizer.eos_token_id]
    ids = prompt + completion + end
    whole = [prompt + other for other in written] if candidates else []
    return {
        "input_ids": ids,
        "start": len(prompt),
        "ends": len(end),
        "classes": _classes(completion, bare) + [[] if not bare else [one] for one in end],
        "label": options.index(row["completion"]) if options else -1,
        **({"candidates": whole} if candidates else {}),
        "task": row["task"],
        "length": max(map(len, [ids, *whole])),
    }


def _other_answers(row: dict[str, Any]) -> list[str]:
    """The accepted answers that are not the completion, each written as the completion begins."""
    text = row["completion"]
    delimiter = text[: len(text) - len(text.lstrip())]
    answers = [delimiter + one.strip() for one in row.get("answers") or [] if one.strip()]
    return [one for one in dict.fromkeys(answers) if one != text]


def _classes(completion: list[int], options: list[list[int]]) -> list[list[int]]:
    """Per token of the completion, what options that agree with it so far have there."""
    if not options:
        return [[] for _ in completion]
    found = []
    for j in range(len(completion)):
        agree = [o for o in options if o[:j] == completion[:j] and len(o) > j]
        found.append(sorted({o[j] for o in agree}))
    return found


def _split_plain(
    row: dict[str, Any], completions: list[str], tokenizer: PreTrainedTokenizerBase
) -> tuple[list[int], list[list[int]]]:
    """Tokens of the prompt and of each completion, as lm-eval scores them.

    Trailing white space of the prompt belongs to the completion, and the whole is tokenised at
    once. An empty prompt is replaced by the token that begins texts, or else the one that ends
    them.
    """
    prompt = row["prompt"]
    texts = [prompt.rstrip(), *(prompt + completion for completion in completions)]
    first, *wholes = _tokens(texts, tokenizer)
    if not first:
        begin = tokenizer.bos_token_id
        first = [tokenizer.eos_token_id if begin is None else begin]
        wholes = [first + whole for whole in wholes]
    for completion, whole in zip(completions, wholes, strict=True):
        if len(whole) <= len(first):
            raise ValueError(
                f"{_name(row)}: the tokenizer leaves nothing of the completion {completion!r} "
                f"after the prompt."
            )
    # Where the first token of a completion joins the prompt's last, the completion decides.
    return wholes[0][: len(first)], [whole[len(first) :] for whole in wholes]


def _split_chat(
    row: dict[str, Any], completions: list[str], tokenizer: PreTrainedTokenizerBase
) -> tuple[list[int], list[list[int]]]:
    """Tokens of the conversation up to where the reply begins, and of each reply.

    They are tokenised apart: the model writes its reply after the prompt's tokens as they are.
    """
    prompt = _template(row, _before(row), tokenizer, add_generation_prompt=True)
    replies = [completion.strip() for completion in completions]
    written = tokenizer(replies, add_special_tokens=False)["input_ids"]
    return _tokens([prompt], tokenizer)[0], written


def _turn_end(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens with which the chat template ends a reply; the end of text where it has none.

    It is the common ending of two conversations that differ only in the reply. A search for the
    reply could match inside the template's own marks: "d" in "<|im_end|>".
    """
    rendered = [
        _template(row, [*_before(row), {"role": "assistant", "content": reply}], tokenizer)
        for reply in ("0", "1")
    ]
    tail = commonprefix([text[::-1] for text in rendered])[::-1].strip()
    return tokenizer(tail, add_special_tokens=False)["input_ids"] or [tokenizer.eos_token_id]


def _before(row: dict[str, Any]) -> list[dict[str, str]]:
    if row["messages"]:
        return [dict(turn) for turn in row["messages"][:-1]]
    return [{"role": "user", "content": row["prompt"]}]


def _template(row: dict[str, Any], turns: list, tokenizer: Any, **settings: bool) -> str:
    try:
        return tokenizer.apply_chat_template(
            turns, tokenize=False, **settings, **template_arguments(tokenizer)
        )
    except Exception as error:  # templates may raise any exception
        raise ValueError(
            f"{_name(row)} cannot be written with the model's chat template ({error}) Use a model "
            f"that has one for such rows, or set data.chat_template=never."
        ) from None


def _tokens(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    return tokens(texts, tokenizer)["input_ids"]


def _name(row: dict[str, Any]) -> str:
    return f"the row {row['id']!r} of {row['task']}"
