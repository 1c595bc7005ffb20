"""Check before any model runs that every document can be asked and graded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lm_eval.api.task import ConfigurableTask

from harness_tasks.elicitation.settings import Settings

SHOWN = 5


def check_options(task: str, settings: Settings, by_option: bool, in_one_turn: bool) -> None:
    """Check that the options of `task` fit its form.

    Args:
        task: its name.
        settings: its options.
        by_option: whether it is multiple choice.
        in_one_turn: whether its prompt asks for the confidence beside the answer.

    Raises:
        ValueError: naming the option, and what to do instead.
    """
    if settings.weighting == "likelihood" and by_option:
        raise ValueError(
            f"{task}: weighting 'likelihood' is for open-ended tasks; the options of a "
            f"multiple-choice question are weighed by the method 'likelihood'."
        )
    if "one_turn" not in settings.methods:
        return
    if not in_one_turn:
        raise ValueError(
            f"{task}: one_turn reads the confidence in the reply that holds the answer, and this "
            f"task does not ask for one there: take calib_worldfacts_one_turn or calib_hle, or "
            f"make a task that includes one_turn_template_yaml."
        )
    if settings.answers is not None:
        raise ValueError(
            f"{task}: one_turn reads the reply that holds the answer, and frozen answers come "
            f"without their replies: leave out 'answers' or one_turn."
        )


def check_documents(task: ConfigurableTask, docs: Iterable[tuple[int, dict[str, Any]]]) -> None:
    """Check that every document about to be asked can be asked and graded.

    Args:
        task: gives prompt, options and target of a document.
        docs: ``(row, document)`` pairs.

    Raises:
        ValueError: naming task, rows and ids, and what is wrong with each.
    """
    found = [
        f"row {number}{_named(doc)}: {problem}"
        for number, doc in docs
        if (problem := _problem(task, doc))
    ]
    if found:
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise ValueError(
            f"{task.config.task}: {len(found)} of the questions cannot be used: "
            f"{'; '.join(found[:SHOWN])}{more}. Correct the data, or choose other rows with "
            f"--samples."
        )


def _named(doc: dict[str, Any]) -> str:
    return f" (id {doc['id']!r})" if doc.get("id") else ""


def _problem(task: ConfigurableTask, doc: dict[str, Any]) -> str | None:
    """The problem with `doc`, or ``None``."""
    if "question" in doc and not _is_text(doc["question"]):
        return f"the question is {_shown(doc['question'])}"
    if task.OUTPUT_TYPE != "multiple_choice":
        return _target_problem(task.doc_to_target(doc))
    # Before the prompt is built: a template may index options that are not there.
    if isinstance(doc.get("choices"), list) and (problem := _options_problem(doc["choices"])):
        return problem
    labels = task.doc_to_choice(doc)
    return _options_problem(labels, distinct=True) or _gold_problem(
        task.doc_to_target(doc), len(labels)
    )


def _target_problem(target: Any) -> str | None:
    accepted = [target] if isinstance(target, str) else target
    if not isinstance(accepted, list):
        return f"the accepted answer is {_shown(accepted)}"
    if not accepted:
        return "there is no accepted answer"
    wrong = [answer for answer in accepted if not _is_text(answer)]
    return f"an accepted answer is {_shown(wrong[0])}" if wrong else None


def _options_problem(options: Sequence[Any], distinct: bool = False) -> str | None:
    if len(options) < 2:
        return f"there are {len(options)} options and at least 2 are needed"
    for place, option in enumerate(options):
        if not _is_text(option):
            return f"option {place} is {_shown(option)}"
        if distinct and option in options[:place]:
            return f"option {place} is {option!r} again"
    return None


def _gold_problem(gold: Any, options: int) -> str | None:
    if not isinstance(gold, int):
        return f"the index of the right option is {_shown(gold, 'a whole number')}"
    if not 0 <= gold < options:
        return f"the index of the right option is {gold}, outside 0 to {options - 1}"
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _shown(value: Any, wanted: str = "a text") -> str:
    if isinstance(value, str) and not value.strip():
        return "empty"
    return "missing" if value is None or value != value else f"{value!r}, not {wanted}"
