"""Whether a reply ended by itself or was cut at its token limit.

lm-eval's back ends return only texts, without their stop strings, and a cut text looks like any
other: "from 9" of "from 95%". This module finds out how a reply ended:

* An API says so ("finish_reason").
* If the back end has a tokenizer, the reply's tokens are counted. A finished reply has fewer than
  the limit, because the stop is one of the generated tokens but is not in the text. Sampled text
  can have fewer tokens when it is tokenized again, so a reply within a sixteenth of the limit also
  counts as cut.
* Otherwise a token is at least one byte, so a reply with fewer bytes than its limit has ended. For
  a longer reply this is unknown, and it is used as it is.

A thought between ``<think>`` and ``</think>`` is not part of the reply and is left out. A reply
that never closes its thought is unfinished, whatever ended it. If the task leaves room for a
thought (``thinking_tokens``), `generate` asks for that many tokens more, and without stop strings,
which may well occur in a thought; they then end the text that follows it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM, CachingLM
from lm_eval.models.utils import normalize_gen_kwargs

from harness_tasks.elicitation.harness import request, shared

eval_logger = logging.getLogger(__name__)
SLACK = 16
BEGIN, END = "<think>", "</think>"
# In the generation arguments of our requests; back ends do not know it.
THINKING = "thinking_tokens"


class Reply(str):
    """A reply that knows how it ended.

    Attributes:
        ended: True if it ended by itself, False if the token limit cut it, ``None`` if unknown.
        limit: the token limit.
        thinking: whether all of it is an unclosed thought.
        first: log-probabilities of the likeliest first tokens, where they were requested.
    """

    ended: bool | None
    limit: int | None
    thinking: bool
    first: dict[str, float] | None

    def __new__(
        cls,
        text: str,
        ended: bool | None,
        limit: int | None = None,
        thinking: bool = False,
        first: dict[str, float] | None = None,
    ) -> Reply:
        """Make a text that knows how it ended."""
        reply = super().__new__(cls, text)
        reply.ended, reply.limit, reply.thinking, reply.first = ended, limit, thinking, first
        return reply

    def __reduce__(self) -> tuple:
        # lm-eval's cache pickles replies, and must stay readable without this class.
        return str, (str(self),)


def ended(
    text: str,
    until: Sequence[str],
    limit: int,
    count: Callable[[str], int] | None,
    reported: bool | None = None,
) -> bool | None:
    r"""Whether `text` ended before its `limit` of tokens.

    Args:
        text: the reply, with or without the stop string that ended it.
        until: the stop strings.
        limit: maximum number of tokens of the reply.
        count: returns the number of tokens of a text; ``None`` without a tokenizer.
        reported: what the server reports; ``None`` if nothing.

    Returns:
        True if it ended by itself, False if it was cut, ``None`` if unknown.

    >>> ended("95%", ["\n"], limit=16, count=None)
    True
    >>> ended("from 9", ["\n"], limit=2, count=lambda text: len(text.split()))
    False
    """
    if any(stop in text for stop in until if stop):
        return True
    if reported is not None:
        return reported
    if count is not None:
        return count(text) < limit - limit // SLACK
    return True if len(text.encode()) < limit else None


def unfinished(reply: str) -> str | None:
    """The reason why nothing is read from `reply`, if it was cut; else ``None``."""
    if getattr(reply, "ended", None) is not False:
        return None
    if reply.thinking:
        return (
            f"unfinished: the reply is a thought without its {END} (a stop string within it, or "
            f"the limit of {reply.limit} tokens, ended it; thinking_tokens in --metadata leaves it "
            f"more room)"
        )
    return f"unfinished: cut at its limit of {reply.limit} tokens, after {str(reply[-60:])!r}"


def generate(lm: LM, requests: Sequence[Instance]) -> list[str]:
    """Have `lm` write the replies to ``generate_until`` requests; see `with_endings`."""
    listen_to_api(lm)
    roomy: dict[int, Instance] = {}  # a repeated request stays one object
    for each in requests:
        if id(each) not in roomy:
            roomy[id(each)] = _with_room(each)
    return with_endings(lm, lm.generate_until([roomy[id(each)] for each in requests]), requests)


def _with_room(asked: Instance) -> Instance:
    """`asked` as a back end can run it: with room for a thought, if it asks for that."""
    prompt, generation = asked.args
    if not generation.get(THINKING):
        return asked
    plain = {key: value for key, value in generation.items() if key != THINKING}
    plain |= {"until": [], "max_gen_toks": longest_reply(generation)}
    belongs = shared(asked.doc, asked.task_name, asked.doc_id, asked.repeats)
    return request("generate_until", (prompt, plain), belongs, asked.idx)


def with_thought(generation: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """Generation arguments that leave `tokens` for a thought before the reply."""
    return {**generation, THINKING: tokens} if tokens else dict(generation)


def longest_reply(generation: Mapping[str, Any], default: int = 256) -> int:
    """Tokens that a back end may generate with these arguments, those of a thought included."""
    limit = normalize_gen_kwargs(dict(generation), default)["max_gen_toks"]
    return limit + generation.get(THINKING, 0)


def with_endings(lm: LM, replies: Sequence[str], requests: Sequence[Instance]) -> list[str]:
    """The `replies` to ``generate_until`` requests as `Reply`, without their stop strings.

    Some servers leave the stop strings in; they are removed. A warning counts the replies that
    reached their limit, by task and limit.
    """
    model = lm.lm if isinstance(lm, CachingLM) else lm
    encode = getattr(lm, "tok_encode", None)
    count = None
    if encode is not None and getattr(model, "tokenizer", None) is not None:

        def count(text: str) -> int:
            return len(encode(text, add_special_tokens=False)) if text else 0

    default = getattr(lm, "max_gen_toks", 256)
    found, cut, asked = [], Counter(), Counter()
    for reply, each in zip(replies, requests, strict=True):
        until = normalize_gen_kwargs(dict(each.args[1]), default)["until"]
        limit = longest_reply(each.args[1], default)
        text, thinking = without_thought(reply, each.args[0])
        # A stop string in the thought did not end the reply.
        stopped = any(stop in text for stop in until if stop)
        reported = True if stopped else getattr(reply, "ended", None)
        over = False if thinking else ended(reply, [], limit, count, reported)
        found.append(Reply(cut_at_stops(text, until), over, limit, thinking))
        asked[each.task_name, limit] += 1
        cut[each.task_name, limit] += over is False
    for (task, limit), number in cut.items():
        if number:
            eval_logger.warning(
                "%s: %d of %d replies were cut at their limit of %d tokens; where the text that "
                "was cut is read, its confidence is missing. The limits are max_gen_toks "
                "(--gen_kwargs), and in --metadata reply_tokens, reasoning_tokens and, for models "
                "that think first, thinking_tokens.",
                task,
                number,
                asked[task, limit],
                limit,
            )
    return found


def without_thought(reply: str, prompt: Any = "") -> tuple[str, bool]:
    """The `reply` after its thought, and whether the thought is unclosed.

    The reply opens the thought or, with some chat templates, the end of the `prompt` does.

    >>> without_thought("<think>Paris? Yes.</think> Paris")
    (' Paris', False)
    >>> without_thought("<think>Paris?")
    ('<think>Paris?', True)
    """
    if END in reply:
        return reply.rpartition(END)[2], False
    opened = isinstance(prompt, str) and prompt.rstrip().endswith(BEGIN)
    return reply, opened or reply.lstrip().startswith(BEGIN)


def cut_at_stops(reply: str, until: Sequence[str]) -> str:
    """The `reply` up to the first stop string, which some servers leave in."""
    for stop in filter(None, until):
        reply = reply.split(stop)[0]
    return reply


def listen_to_api(lm: LM) -> None:
    """Make an API model of lm-eval keep what a server reports beside the text of a reply.

    That is how it ended and, where they were requested, the first token's log-probabilities.
    """
    model = lm.lm if isinstance(lm, CachingLM) else lm
    parse = getattr(model, "parse_generations", None)
    if parse is None or hasattr(parse, "keeps_endings"):
        return

    def parse_generations(outputs: Any, **options: Any) -> list[str | None]:
        texts = parse(outputs=outputs, **options)
        listed = outputs if isinstance(outputs, list) else [outputs]
        choices = [choice for output in listed for choice in _choices(output)]
        if len(choices) != len(texts):
            return texts
        return [_reported(text, choice) for text, choice in zip(texts, choices, strict=True)]

    parse_generations.keeps_endings = True
    model.parse_generations = parse_generations


def _choices(output: Any) -> list[dict[str, Any]]:
    """The choices of a server's answer, in the order in which lm-eval returns their texts."""
    choices = output.get("choices") if isinstance(output, dict) else None
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        return []
    return sorted(choices, key=lambda choice: choice.get("index") or 0)


def _reported(text: str | None, choice: dict[str, Any]) -> str | None:
    """`text` with what the server's `choice` says about it, if it says anything."""
    reason, first = choice.get("finish_reason"), first_token(choice.get("logprobs"))
    if text is None or (reason is None and first is None):
        return text
    return Reply(text, None if reason is None else reason != "length", first=first)


def first_token(logprobs: Any) -> dict[str, float] | None:
    """Log-probabilities of the likeliest first tokens, from a server's ``logprobs``.

    Chat replies have ``content``, a list of tokens with their ``top_logprobs``; completions have
    ``top_logprobs``, a list of ``{token: logprob}``. llama.cpp gives completions the first form.

    Returns:
        These log-probabilities, or ``None`` if there are none.

    >>> first_token({"top_logprobs": [{"Yes": -0.1, "No": -2.5}]})
    {'Yes': -0.1, 'No': -2.5}
    """
    if not isinstance(logprobs, dict):
        return None
    if content := logprobs.get("content"):
        tops = content[0].get("top_logprobs") or []
        found = [(each["token"], each["logprob"]) for each in tops]
    else:
        found = list(((logprobs.get("top_logprobs") or [None])[0] or {}).items())
    return {token: float(logprob) for token, logprob in found if logprob is not None} or None
