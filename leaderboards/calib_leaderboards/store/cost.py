"""The cost of a method: the requests it adds for a question, besides those for the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MOST = 10_000  # samples per question; no real run has more


def requests_per_question(
    task: str, form: str | None, metadata: Mapping[str, Any]
) -> dict[str, int]:
    """How many requests each method of a confidence task makes for one question, on its own.

    Counted on the requests that the methods build for a made-up question. Methods that share
    samples share their cost in a run; here each is counted with all the samples that it needs. A
    request that is repeated K times counts K times; one with the answer's options counts once per
    option, and is not counted where it is the answer's own.

    form: "multiple_choice" or "generate_until". metadata: the task's options, as lm-eval logged
    them. Returns an empty mapping if this version of calibench does not know the options.
    """
    from harness_tasks.elicitation.prompts import Conversation
    from harness_tasks.elicitation.question import Question
    from harness_tasks.elicitation.registry import METHODS
    from harness_tasks.elicitation.settings import parse_settings

    try:
        settings = parse_settings(task, metadata)
    except ValueError:
        return {}
    if settings.k > _MOST:
        return {}
    # It judges texts and asks the model nothing.
    settings = settings.model_copy(update={"nli": None})
    options = {"A": 0.5, "B": 0.5} if form == "multiple_choice" else None
    counts = {}
    for name in settings.methods:
        question = Question(
            conversation=Conversation(context="Q", alone="Q", messages=None, delimiter=" "),
            answer=lambda: "A",
            answered_by="loglikelihood" if options else "generate_until",
            agrees=lambda text, answer: text == answer,
            options=(lambda: options) if options else None,
            generation={"until": ["\n"]},
            instance={"doc": {}, "metadata": (task, 0, 1)},
        )
        counts[name] = sum(r.repeats for r in METHODS[name](settings).requests(question))
    return counts
