"""SQuAD 2.0: answers that are spans of a passage or absent, and the probability of "absent"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

import harness_tasks.elicitation.response_cache  # noqa: F401  (the model is in the cache's keys)
from calib_metrics.text.squad import normalize_answer, squad_v2
from harness_tasks.elicitation.grading import first_line
from harness_tasks.elicitation.harness import BYPASS, only_predicts, request, shared_by

UNANSWERABLE = "unanswerable"

# Two examples of our own, one of each kind: the first training rows are all of one kind.
_PASSAGE = (
    "The lighthouse of Selby Head was finished in 1871. Its keeper, Ada Moore, lit the lamp every "
    "evening for thirty years, until an automatic light took over her work."
)
EXAMPLES = [
    {
        "id": f"example-{number}",
        "title": "Selby Head",
        "context": _PASSAGE,
        "question": question,
        "answers": {"text": answers, "answer_start": [_PASSAGE.index(each) for each in answers]},
    }
    for number, (question, answers) in enumerate(
        [
            ("Who lit the lamp of Selby Head?", ["Ada Moore"]),
            ("How tall is the lighthouse of Selby Head?", []),
        ]
    )
]


class SquadV2Task(ConfigurableTask):
    """Asks for the answer and, on the same prompt, for the probability of "unanswerable"."""

    def __init__(self, config: dict[str, Any]):
        super().__init__(config={key: config[key] for key in config if key != "class"})

    def construct_requests(self, doc: dict, ctx: str, **kwargs: Any) -> list[Instance]:
        """The generated answer, then the log-likelihood of "unanswerable" in its place."""
        delimiter = "" if kwargs.get("chat_template") else self.config.target_delimiter
        asked = (
            ("generate_until", (ctx, dict(self.config.generation_kwargs))),
            ("loglikelihood", (ctx, delimiter + UNANSWERABLE)),
        )
        return [
            request(kind, arguments, shared_by(doc, kwargs), place)
            for place, (kind, arguments) in enumerate(asked)
        ]

    def process_results(self, doc: dict, results: Sequence) -> dict[str, Any]:
        """The values lm-eval aggregates for one question; see `question_scores`."""
        if only_predicts(self):
            return BYPASS
        reply, (logprob, _) = results
        return question_scores(first_line(reply), doc["answers"]["text"], math.exp(logprob))


def question_scores(reply: str, accepted: Sequence[str], no_answer: float) -> dict[str, Any]:
    """Scores of one question: exact match and F1 in percent, and what the corpus scores need.

    A reply of "unanswerable" abstains: it is the right one where `accepted` is empty. By SQuAD's
    rules so does an empty reply, which may be a mere failure: `blank` counts those. `no_answer` is
    the model's probability, in [0, 1], that there is no answer. HasAns_* exist only for questions
    with an answer, NoAns_* only for those without.
    """
    answer = "" if normalize_answer(reply) == UNANSWERABLE else reply
    scores = squad_v2([answer], [accepted])
    item = (answer, list(accepted), no_answer)
    pair = (no_answer, int(not accepted))
    calibration = ("ece", "auroc", "brier")
    return {
        **{name: value for name, value in scores.items() if not name.endswith("total")},
        "blank": int(not reply),
        **{name: item for name in ("best_exact", "best_f1")},
        **{f"no_answer_{name}{suffix}": pair for name in calibration for suffix in ("", "_stderr")},
    }


def best_exact(items: Sequence) -> float:
    """Exact match, in percent, under the best threshold on the probability of no answer."""
    return _best("best_exact", items)


def best_f1(items: Sequence) -> float:
    """F1, in percent, under the best threshold on the probability of no answer."""
    return _best("best_f1", items)


def _best(name: str, items: Sequence) -> float:
    answers, accepted, probabilities = zip(*items, strict=True)
    return squad_v2(answers, accepted, probabilities)[name]


def accepted_answers(doc: dict[str, Any]) -> list[str]:
    """The accepted answers when "unanswerable" is an answer like any other."""
    return doc["answers"]["text"] or [UNANSWERABLE]


def read_by_the_class(doc: dict, results: list) -> dict:
    """Marks the task file as scored by `SquadV2Task`; lm-eval then looks up no metric by name."""
    raise TypeError("this task file needs `class: !function harness_tasks.squad_v2.SquadV2Task`.")
