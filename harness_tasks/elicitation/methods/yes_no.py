"""A yes/no question, read as the probability of "yes".

By default it comes from the log-probabilities of the two replies. For back ends that score no
reply, ``yes_no: first_token`` reads those of the first token of a reply that the model writes, and
``yes_no: sampled`` lets it reply K times and counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from copy import deepcopy

from lm_eval.api.instance import Instance

from harness_tasks.elicitation.first_token import FIRST_TOKEN, ONE, TOP, read_first_token
from harness_tasks.elicitation.prompts import HIDDEN_ANSWER, KNOWS, REPLY_WITH, WORDINGS, Wording
from harness_tasks.elicitation.question import Question, Reading
from harness_tasks.elicitation.reply_mass import masses
from harness_tasks.elicitation.settings import Settings

REPLY = {"until": ["\n"], "max_gen_toks": 8, "do_sample": True, "temperature": 1.0}


class ZeroShotClassifier:
    """P(yes) / (P(yes) + P(no)) for "Is the proposed answer correct?" (Kapoor et al. 2024).

    Under an adapter trained for this question the same read-out is Fine-Tuned. With ``yes_no:
    first_token`` it is the same ratio for the two words' first tokens; with ``yes_no: sampled`` it
    is the share of "yes" among the replies that say "yes" or "no".
    """

    def __init__(self, settings: Settings):
        self.wording = WORDINGS[settings.wording]
        self.temperature = settings.temperature
        self.replies = settings.k if settings.yes_no == "sampled" else None
        self.signature = f"wording:{settings.wording}|temperature:{settings.temperature:g}"
        self.first_token = settings.yes_no == "first_token"
        if self.replies:
            self.signature += f"|yes_no:sampled|k:{self.replies}"
        elif self.first_token:
            self.signature += f"|yes_no:first_token|top:{TOP}"

    def ask(self, question: Question, words: str) -> str:
        """The prompt that asks `words` about `question`."""
        return question.conversation.then(question.answer(), words, cue="Answer")

    def _prompt(self, question: Question) -> tuple[str, str, str]:
        yes, no = self.wording.yes, self.wording.no
        words = self.wording.question
        if self.replies:
            words += "\n" + REPLY_WITH.format(yes=yes, no=no)
        delimiter = question.conversation.delimiter
        return self.ask(question, words), delimiter + yes, delimiter + no

    def requests(self, question: Question) -> list[Instance]:
        if self.replies:

            def sampled() -> tuple:
                return self._prompt(question)[0], deepcopy(REPLY)

            return [question.late("generate_samples", sampled, repeats=self.replies)]
        if self.first_token:
            return [question.late(FIRST_TOKEN, lambda: (self._prompt(question)[0], dict(ONE)))]

        def build(which: int) -> Callable[[], tuple]:
            return lambda: (self._prompt(question)[0], self._prompt(question)[which])

        return [question.late("loglikelihood", build(which)) for which in (1, 2)]

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        query, yes, no = self._prompt(question)
        extra = {
            "context": logged(question.conversation.context),
            "answer_text": question.answer_text,
            "query": logged(query),
            "yes": yes,
            "no": no,
        }
        if self.replies:
            replies = requests[0].resps[: self.replies]
            return _share_of_yes(replies, self.wording, {**extra, "replies": replies})
        if self.first_token:
            found = read_first_token(requests[0].resps[0], yes, no)
            seen = {**extra, **masses(found.mass)}
            if found.log_odds is None:
                return Reading(None, found.reason, seen)
            noted = {"note": found.reason} if found.reason else {}
            return Reading(sigmoid(found.log_odds / self.temperature), extra={**seen, **noted})
        log_yes, log_no = (request.resps[0][0] for request in requests)
        if max(log_yes, log_no) == -math.inf:
            return Reading(None, "both replies have probability zero", extra)
        seen = {**extra, **masses(math.exp(log_yes) + math.exp(log_no))}
        return Reading(sigmoid((log_yes - log_no) / self.temperature), extra=seen)


class QuestionOnly(ZeroShotClassifier):
    """The classifier with the answer hidden, so that it sees only the question: a sanity check."""

    def ask(self, question: Question, words: str) -> str:
        return question.conversation.then(HIDDEN_ANSWER, words, cue="Answer")


class PIK(ZeroShotClassifier):
    """P(IK), "I know" (Kadavath et al. 2022): P(yes) for "Do you know the answer?".

    The prompt shows the question without an answer, so the result is the same for every answer.
    """

    def __init__(self, settings: Settings):
        super().__init__(settings)
        self.wording = KNOWS[settings.wording]

    def ask(self, question: Question, words: str) -> str:
        return question.conversation.before(words, cue="Answer").context


def parse_yes_no(reply: str, wording: Wording) -> bool | None:
    """Whether `reply` begins with the word for yes (True) or for no (False); else ``None``.

    Case and marks before the word ("(ii)", "**Yes**") do not matter.
    """
    yes, no = (re.sub(r"\W", "", word).casefold() for word in (wording.yes, wording.no))
    found = re.match(r"[\W_]*([^\W_]+)", reply.casefold())
    word = found[1] if found else ""
    return {yes: True, no: False}.get(word)


def logged(prompt: str | tuple[str]) -> str:
    """The prompt as text. For a chat API it is lm-eval's tuple of one text, messages as JSON."""
    return prompt if isinstance(prompt, str) else prompt[0]


def _share_of_yes(replies: Sequence[str], wording: Wording, extra: dict) -> Reading:
    votes = [parse_yes_no(reply, wording) for reply in replies]
    counted = [vote for vote in votes if vote is not None]
    if not counted:
        reason = f"none of {len(replies)} replies says {wording.yes!r} or {wording.no!r}"
        return Reading(None, reason, extra)
    return Reading(sum(counted) / len(counted), extra=extra)


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)) without overflow, for any float including infinities."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
