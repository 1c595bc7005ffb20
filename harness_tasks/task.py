"""The lm-eval task: one answer per question, and every elicitation method asked about it.

The class serves open-ended tasks (``output_type: generate_until``) and multiple choice
(``output_type: multiple_choice``). lm-eval's Filter column carries the method, and the first
filtered response of each logged sample is the record that everything downstream reads.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from harness_tasks.elicitation.abstention import abstains
from harness_tasks.elicitation.checks import check_documents, check_options
from harness_tasks.elicitation.compiled import compiled_once
from harness_tasks.elicitation.context_window import PROMPT_FIT
from harness_tasks.elicitation.ending import unfinished, with_thought
from harness_tasks.elicitation.first_turn import (
    NEXT_QUESTION,
    option_question,
)
from harness_tasks.elicitation.frozen import (
    CUT_ANSWER,
    check_complete,
    cut_answers,
    doc_hash,
    read_answers,
)
from harness_tasks.elicitation.grading import JUDGE, first_line, string_grader
from harness_tasks.elicitation.harness import (
    BYPASS,
    doc_id_of,
    metric_names,
    only_predicts,
    put_filtered,
    request,
    shared_by,
)
from harness_tasks.elicitation.late import ANSWER
from harness_tasks.elicitation.lengths import outside_window
from harness_tasks.elicitation.logprobs import LOGPROBS_CHECK, check_logprobs
from harness_tasks.elicitation.methods.probe import PROBE_CHECK, check_probe
from harness_tasks.elicitation.option_orders import (
    ask_in_orders,
    flipped,
    in_orders,
    order_answers,
    orders,
    report_flips,
    with_orders,
)
from harness_tasks.elicitation.prompts import Conversation
from harness_tasks.elicitation.question import Asked, Method, Question, Reading
from harness_tasks.elicitation.records import Record
from harness_tasks.elicitation.registry import METHODS
from harness_tasks.elicitation.reply_mass import warn_of_other_replies
from harness_tasks.elicitation.settings import parse_settings
from harness_tasks.elicitation.stated_threshold import NOT_ATTEMPTED, points, stated, with_threshold
from harness_tasks.elicitation.token_statistics import STATISTICS_CHECK, check_statistics
from harness_tasks.elicitation.tokenizer_check import TOKENIZER_CHECK, check_tokenizer
from harness_tasks.judge.verdicts import read_verdicts, verdict_on

# Share of answers with a readable verdict, where a judge grades.
GRADED = {"metric": "graded", "aggregation": "mean", "higher_is_better": True}
# Measurements, not questions to the model: they are not in the log as requests.
MEASURED = (TOKENIZER_CHECK, LOGPROBS_CHECK, PROBE_CHECK, STATISTICS_CHECK, PROMPT_FIT)


class ConfidenceTask(ConfigurableTask):
    """An lm-eval task that scores confidences. See ``harness_tasks/README.md`` for its options."""

    in_one_turn = False  # whether its prompt asks for a confidence beside the answer

    def __init__(self, config: dict[str, Any]):
        config = {key: value for key, value in config.items() if key != "class"}
        metadata = config.get("metadata") or {}
        self.settings = parse_settings(config["task"], metadata)
        # Defaults included, so that the results file tells how the scores were made.
        config["metadata"] = {**metadata, **self.settings.model_dump()}
        if self.settings.split is not None:
            config["test_split"] = self.settings.split
        if self.settings.grading.startswith(JUDGE):
            config["metric_list"] = [*config["metric_list"], GRADED]
        config = with_threshold(config, self.settings.stated_threshold)
        config = with_orders(config, self.settings.permute_options)
        super().__init__(config=config)
        check_options(config["task"], self.settings, self._is_multiple_choice, self.in_one_turn)
        self._methods = {name: METHODS[name](self.settings) for name in self.settings.methods}
        path = self.settings.answers
        self._frozen = None if path is None else read_answers(path, config["task"])
        self._cut = {} if path is None else cut_answers(path, config["task"])
        grading = self.settings.grading
        by_judge = grading.startswith(JUDGE)
        self._verdicts = read_verdicts(grading.removeprefix(JUDGE)) if by_judge else None
        self._alone: tuple[str, list[dict[str, str]] | None] = ("", None)
        self._asked: dict[int, Asked] = {}

    @property
    def _is_multiple_choice(self) -> bool:
        return self.OUTPUT_TYPE == "multiple_choice"

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Load the data set, and check that it has the requested split."""
        super().download(dataset_kwargs, **kwargs)
        if (split := self.config.test_split) not in self.dataset:
            raise ValueError(
                f"{self.config.task}: there is no split {split!r}; "
                f"the data set has {', '.join(self.dataset)}."
            )

    # ------------------------------------------------------------------------------------- asking

    def build_all_requests(self, **kwargs: Any) -> None:
        """Build the requests of all documents; refuse lm-eval's request cache.

        Its key does not include the prompts, methods or frozen answers.
        """
        if kwargs.get("cache_requests"):
            raise ValueError(
                f"{self.task_name}: --cache_requests could return requests of another setting; "
                "run without it (--use_cache, which caches responses, is fine)."
            )
        self._asked = {}
        names = ("limit", "samples", "rank", "world_size")
        chosen = {name: kwargs[name] for name in names if kwargs.get(name) is not None}
        check_documents(self, self.doc_iterator(**chosen))
        if self._frozen is not None:
            check_complete(self._frozen, self.doc_iterator(**chosen), self.settings.answers)
        with compiled_once():
            super().build_all_requests(**kwargs)

    def fewshot_context(
        self, doc: dict, num_fewshot: int, chat_template: Callable | None = None, **kwargs: Any
    ) -> str:
        """The first turn's prompt; the same without examples is kept, for the second turn."""
        messages: list[dict[str, str]] = []

        def render(chat: list[dict[str, str]], **options: Any) -> str:
            messages[:] = chat
            return chat_template(chat, **options)

        def prompt(shots: int) -> str:
            return super(ConfidenceTask, self).fewshot_context(
                doc, shots, chat_template=render if chat_template else None, **kwargs
            )

        context = prompt(num_fewshot)
        self._alone = prompt(0), list(messages) or None  # after `context`: it overwrites messages
        return context

    def construct_requests(self, doc: dict, ctx: str, **kwargs: Any) -> list[Instance]:
        """The answer's requests (none for a frozen answer), then those of every method."""
        # One response each; sampling, which wants K, says so in its own request.
        instance = shared_by(doc, kwargs)
        alone, messages = self._alone
        conversation = Conversation(
            context=ctx,
            alone=alone,
            delimiter=self.config.target_delimiter if messages is None else "",
            messages=messages,
            render=kwargs.get("chat_template"),
        )
        build = self._multiple_choice if self._is_multiple_choice else self._open_ended
        first, question = build(conversation, instance)
        requests, read = {}, {}
        for method, asking in self._methods.items():
            question.wanted.clear()
            requests[method] = asking.requests(question)
            shared = [r for key in question.wanted for r in question.shared[key]]
            read[method] = [*requests[method], *shared]
        options = [conversation.delimiter + label for label in question.labels]
        room = 0 if options else question.generation.get("max_gen_toks", 0) + question.thinking
        contexts = dict.fromkeys((ctx, *(each.args[0] for each in first)))
        fits = [request(PROMPT_FIT, (each, options, room), instance) for each in contexts]
        check = check_tokenizer(instance)
        check += check_logprobs(first, requests, self.settings, conversation, instance)
        check += [*check_probe(requests, instance), *check_statistics(requests, instance)]
        everything = [*check, *first, *(r for added in requests.values() for r in added), *fits]
        for position, each in enumerate(everything):
            each.idx = position
        answer = first[0] if first and first[0].request_type == ANSWER else None
        self._asked[doc_id_of(instance)] = Asked(question, requests, read, answer, fits)
        return everything

    def extract(self, text: str) -> str:
        """The answer in a generated text: its first line. A task with reasoning overrides this."""
        return first_line(text)

    def _unfinished(self, reply: str) -> str | None:
        """Why `reply` may not contain a complete answer, or ``None``; see `unfinished`.

        A line that has ended is complete, wherever the reply was cut.
        """
        reason = unfinished(reply)
        one_line = type(self).extract is ConfidenceTask.extract
        if reason and one_line and not reply.thinking and "\n" in reply.lstrip():
            return None
        return reason

    def _whole(self, reply: str) -> str:
        """The answer in a sampled `reply`; "" if it was cut within it."""
        return "" if self._unfinished(reply) else self.extract(reply)

    def _open_ended(
        self, conversation: Conversation, instance: dict[str, Any]
    ) -> tuple[list[Instance], Question]:
        generation = deepcopy(self.config.generation_kwargs)
        if not self.config.num_fewshot:
            stops = [stop for stop in generation["until"] if stop.strip()]
            generation["until"] = stops or [*NEXT_QUESTION]
        agree = string_grader(self.settings.grading)
        shared = {
            "conversation": conversation,
            "agrees": lambda text, answer: agree(text, [answer]),
            "extract": self._whole,
            "options": None,
            "generation": generation,
            "instance": instance,
            "thinking": self.settings.thinking_tokens,
        }
        if self._frozen is not None:
            answer = self._frozen[doc_hash(instance["doc"])]
            return [], Question(answer=lambda: answer, answered_by=None, **shared)
        roomy = with_thought(generation, self.settings.thinking_tokens)
        asked = request(ANSWER, (conversation.context, roomy), instance)

        def reply() -> str:
            return asked.resps[0]

        def answer() -> str:
            return "" if getattr(reply(), "thinking", False) else self.extract(reply())

        question = Question(answer=answer, answered_by=ANSWER, reply=reply, **shared)
        return [asked], question

    def _multiple_choice(
        self, conversation: Conversation, instance: dict[str, Any]
    ) -> tuple[list[Instance], Question]:
        labels = self.doc_to_choice(instance["doc"])
        number = self.settings.permute_options
        listed = orders(self, instance["doc"], conversation.context, number)
        scored, by_order = ask_in_orders(listed, labels, conversation.delimiter, instance)
        frozen = None if self._frozen is None else self._frozen[doc_hash(instance["doc"])]
        question = option_question(
            conversation,
            instance,
            labels,
            by_order,
            frozen=frozen,
            settings=self.settings,
            num_fewshot=self.config.num_fewshot,
        )
        needed = frozen is None or number > 1 or "likelihood" in self._methods
        return (scored if needed else []), question

    # ------------------------------------------------------------------------------------ reading

    def apply_filters(self) -> None:
        """Read every method's confidence: one filter per method, one record per question."""
        self._instances = [i for i in self.instances if i.request_type not in MEASURED]
        found = {
            doc_id: {name: self._record(asked, name, each) for name, each in self._methods.items()}
            for doc_id, asked in self._asked.items()
        }
        put_filtered(self.instances, found, self._methods)
        warn_of_other_replies(self.task_name, found.values())
        report_flips(self.task_name, found.values())

    def _record(self, asked: Asked, name: str, method: Method) -> Record:
        question = asked.question
        doc = question.instance["doc"]
        answer = question.answer()
        if reason := outside_window([*asked.fits, *asked.read[name]]):
            reading = Reading(None, reason)
        else:
            reading = method.read(question, asked.requests[name])
            if cut := self._cut_answer(asked):  # the reading stays in the log
                reading = Reading(None, cut, reading.extra)
        correct = self._grade(doc, answer)
        if self.settings.stated_threshold is not None and abstains(answer):
            reading = Reading(None, NOT_ATTEMPTED)
        if correct is None:
            reading = Reading(None, "the judge's verdict on the answer could not be read")
        return Record(
            task=self.task_name,
            split=self.config.test_split,
            id=doc.get("id") or doc_hash(doc),
            method=name,
            question=doc.get("question") or self.doc_to_text(doc),
            answer=answer,
            correct=None if correct is None else int(correct),
            confidence=reading.confidence,
            reason=reading.reason,
            signature=f"{self._signature(method)}|grading:{self._grading}",
            **order_answers(question.by_order()),
            **(reading.extra or {}),
        )

    def _cut_answer(self, asked: Asked) -> str | None:
        """Why the answer, of this run or the frozen one, is incomplete, or ``None``."""
        if asked.answer is None:
            return self._cut.get(doc_hash(asked.question.instance["doc"])) if self._cut else None
        reason = self._unfinished(asked.answer.resps[0])
        return reason and f"{CUT_ANSWER}: {reason.removeprefix('unfinished: ')}"

    def _signature(self, method: Method) -> str:
        of_options = getattr(method, "signature_of_options", None)
        return of_options if of_options and self._is_multiple_choice else method.signature

    @property
    def _grading(self) -> str:
        if self._is_multiple_choice:
            return "option" + in_orders(self.settings.permute_options)
        by = "judge" if self._verdicts is not None else self.settings.grading
        return by + stated(self.settings.stated_threshold)

    def _grade(self, doc: dict, answer: str) -> bool | None:
        """Whether `answer` is correct; ``None`` if a judge gave no readable verdict on it."""
        if self._verdicts is not None and not self._is_multiple_choice:
            return verdict_on(self._verdicts, doc_hash(doc), answer, doc.get("question") or "")
        target = self.doc_to_target(doc)
        if self._is_multiple_choice:
            return answer == self.doc_to_choice(doc)[target]
        accepted = [target] if isinstance(target, str) else target
        return string_grader(self.settings.grading)(answer, accepted)

    def process_results(self, doc: dict, results: list[dict[str, Any]]) -> dict[str, Any]:
        """The values lm-eval aggregates for one question and one method."""
        if only_predicts(self):
            return BYPASS
        if results[0]["correct"] is None:  # left out of every score, and counted
            return {"graded": 0}
        pair = (results[0]["confidence"], results[0]["correct"])
        values = self._values(doc, results[0])
        return {metric: values.get(metric, pair) for metric in metric_names(self)}

    def _values(self, doc: dict, record: Record) -> dict[str, Any]:
        """By metric name, what is aggregated, where that is not (confidence, correct)."""
        answered = int(record["confidence"] is not None)
        of_rule = {**points(record, self.settings.stated_threshold), **flipped(record)}
        return {"acc": record["correct"], "answered": answered, "graded": 1, **of_rule}


def read_by_the_class(doc: dict, results: list) -> dict:
    """Marks a task file as scored by `ConfidenceTask`; lm-eval then looks up no metric by name."""
    raise TypeError("this task file needs `class: !function harness_tasks.task.ConfidenceTask`.")
