"""The options of a multiple-choice question in several cyclic orders.

Models prefer some letters and places, whatever stands there (Pezeshkpour and Hruschka, Large
Language Models Sensitivity to The Order of Options in Multiple-Choice Questions, Findings of NAACL
2024). With ``permute_options: n`` every question is asked in its first n cyclic orders: in order s,
of s = 0 to n - 1, the option i of m stands at place (i - s) mod m. The probability of an option is
its mean over the orders,

    P(i) = 1/n sum_s P(label at place (i - s) mod m | prompt in order s),

each summand a softmax over the labels. With n = m it is the cyclic permutation of Zheng et al.,
Large Language Models Are Not Robust Multiple Choice Selectors, ICLR 2024: each option stands once
at each place, so a preference for a place alone gives every option 1/m. A question with fewer than
n options has as many orders as options.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from harness_tasks.elicitation.harness import request

ORDER_ANSWERS = "order_answers"  # in the record: the likeliest option in each order
FLIPPED = {"metric": "flipped", "aggregation": "mean", "higher_is_better": False}
Shares = Mapping[str, float]
eval_logger = logging.getLogger(__name__)


class Order(NamedTuple):
    """A prompt, and how many places the options have moved towards the front."""

    context: str
    shift: int


def with_orders(config: dict[str, Any], number: int) -> dict[str, Any]:
    """A task's configuration with the score ``flipped``; as it is if there is one order.

    Raises:
        ValueError: in an open-ended task.
    """
    if number == 1:
        return config
    if config.get("output_type") != "multiple_choice":
        raise ValueError(
            f"{config['task']}: permute_options reorders the options of a question, and an "
            f"open-ended task has none: take the task by letter (*_mc), or leave it out."
        )
    return {**config, "metric_list": [*config["metric_list"], FLIPPED]}


def orders(
    task: ConfigurableTask, doc: Mapping[str, Any], context: str, number: int
) -> list[Order]:
    """The prompts for `doc` in the first `number` cyclic orders of its options.

    Only the text of the question is replaced in `context`, so that examples, description and chat
    template are the same in all of them.

    Raises:
        ValueError: the prompt does not show the options under labels that stay where they are.
    """
    if number == 1:
        return [Order(context, 0)]
    choices, labels = doc.get("choices"), task.doc_to_choice(doc)
    text = str(task.doc_to_text(doc)).strip()
    if not isinstance(choices, list) or len(choices) != len(labels) or not text:
        raise ValueError(_not_shown(task))
    before, found, behind = context.rpartition(text)
    listed = [Order(context, 0)]
    for shift in range(1, min(number, len(choices))):
        moved = {**doc, "choices": [*choices[shift:], *choices[:shift]]}
        changed = task.doc_to_text(moved).strip()
        shown = changed != text or moved["choices"] == choices
        if not (found and shown and task.doc_to_choice(moved) == labels):
            raise ValueError(_not_shown(task))
        listed.append(Order(before + changed + behind, shift))
    return listed


def _not_shown(task: ConfigurableTask) -> str:
    return (
        f"{task.config.task}: permute_options moves the options between the labels of a prompt, "
        f"and this prompt does not list them under such labels: take the task by letter (*_mc), or "
        f"leave it out."
    )


def ask_in_orders(
    listed: Sequence[Order], labels: Sequence[str], delimiter: str, instance: Mapping[str, Any]
) -> tuple[list[Instance], Callable[[], list[Shares]]]:
    """The requests that score every label in every order, and the options' probabilities.

    Returns:
        The requests; and a function that, once they have run, gives for each order the probability
        of each option, under the label that it has in the question's own order.
    """
    asked = [
        [request("loglikelihood", (each.context, delimiter + label), instance) for label in labels]
        for each in listed
    ]

    def by_order() -> list[Shares]:
        found: list[Shares] = []
        for order, requests in zip(listed, asked, strict=True):
            shares = softmax([each.resps[0][0] for each in requests])
            # Under the label at place p stands the option p + shift.
            found.append({o: shares[i - order.shift] for i, o in enumerate(labels)})
        return found

    return [each for requests in asked for each in requests], by_order


def averaged(by_order: Sequence[Shares]) -> Shares:
    """The mean probability of each option over the orders; they sum to 1."""
    if len(by_order) == 1:
        return by_order[0]
    return {
        option: math.fsum(shares[option] for shares in by_order) / len(by_order)
        for option in by_order[0]
    }


def likeliest(shares: Shares) -> str:
    """The likeliest option; among equals the first in the question's own order."""
    return max(shares.items(), key=lambda item: item[1])[0]


def softmax(logprobs: Sequence[float]) -> list[float]:
    """Probabilities proportional to exp(logprobs), of any length; they sum to 1."""
    top = max(logprobs)
    weights = [math.exp(logprob - top) for logprob in logprobs]
    return [weight / sum(weights) for weight in weights]


def order_answers(by_order: Sequence[Shares]) -> dict[str, list[str]]:
    """What the log says of a question's orders: the likeliest option in each; {} of none."""
    return {ORDER_ANSWERS: list(map(likeliest, by_order))} if by_order else {}


def flipped(record: Mapping[str, Any]) -> dict[str, int]:
    """The score of one answer: whether its orders differ in the likeliest option; {} without them.

    >>> flipped({"order_answers": ["A", "A", "C"]})
    {'flipped': 1}
    """
    answers = record.get(ORDER_ANSWERS)
    return {} if answers is None else {"flipped": int(len(set(answers)) > 1)}


def report_flips(task: str, records: Iterable[Mapping[str, Mapping[str, Any]]]) -> None:
    """Log in how many questions the likeliest option depends on the order.

    Args:
        task: its name.
        records: of each question, by method.
    """
    found = [flipped(next(iter(by_method.values()))) for by_method in records]
    if any(found):
        eval_logger.info(
            "%s: in %d of %d questions the likeliest option changes with the order of the options.",
            task,
            sum(each["flipped"] for each in found),
            len(found),
        )


def in_orders(number: int) -> str:
    """The part of a signature that says it; "" for one order."""
    return "" if number == 1 else f"|permute_options:{number}"
