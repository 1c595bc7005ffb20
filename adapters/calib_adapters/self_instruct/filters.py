"""Which tasks and answers of the teacher are kept, and why the others are not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

# Words for what a text cannot contain.
_NOT_TEXT = re.compile(
    r"\b(?:images?|pictures?|photos?|graphs?|diagrams?|flow ?charts?|drawings?|draw|plot|maps?|"
    r"videos?|audio|music|files?|website|url)\b",
    re.IGNORECASE,
)
_REPEATING = 20  # words; shorter answers are not checked for repetition
_DISTINCT = 0.3  # share of distinct words below which an answer repeats itself


class Limits(BaseModel):
    """Limits for what is kept. Lengths are in words, ROUGE-L is an F-measure from 0 to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    novelty: float = Field(0.7, gt=0, le=1, description="below this ROUGE-L to every other task")
    min_words: int = Field(4, ge=1, description="of a task")
    max_words: int = Field(150, ge=1, description="of a task")
    max_answer_words: int = Field(300, ge=1)


class Pool:
    """The tasks so far, and how similar a new one is to them."""

    def __init__(self, texts: Sequence[str] = ()):
        self._tokenizer = DefaultTokenizer(use_stemmer=False)
        self._scorer = RougeScorer(["rougeL"], tokenizer=self._tokenizer)
        self._known: list[tuple[str, Counter]] = []
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Add a text to compare new ones with."""
        self._known.append((text, self._counts(text)))

    def nearest(self, text: str, threshold: float) -> float | None:
        """The highest ROUGE-L of `text` to a known task that reaches `threshold`, else ``None``.

        A common subsequence is no longer than the words in common, so most of the pool needs no
        alignment.
        """
        counts, best = self._counts(text), None
        for other, words in self._known:
            total = counts.total() + words.total()
            if total == 0 or 2 * (counts & words).total() / total < (best or threshold):
                continue
            score = self._scorer.score(other, text)["rougeL"].fmeasure
            if score >= (best or threshold):
                best = score
        return best

    def _counts(self, text: str) -> Counter:
        return Counter(self._tokenizer.tokenize(text))


def task_problem(text: str, limits: Limits) -> str | None:
    """Why a task is not kept, or ``None``."""
    words = len(text.split())
    if words < limits.min_words:
        return "task too short"
    if words > limits.max_words:
        return "task too long"
    if not text[0].isalpha():
        return "task does not begin with a word"
    if text[-1] not in ".?!:\"'”’)":
        return "task breaks off"  # or was cut off
    if not DefaultTokenizer(use_stemmer=False).tokenize(text):
        return "task has no words that ROUGE-L could compare"
    if _NOT_TEXT.search(text):
        return "task needs more than text"
    return None


def instance_problem(
    given: str, answer: str, limits: Limits, examples: Sequence[str]
) -> str | None:
    """Why an input and its answer are not kept, or ``None``. `examples`: answers shown before."""
    words = answer.lower().split()
    if not words:
        return "answer empty"
    if len(words) > limits.max_answer_words:
        return "answer too long"
    if answer == given:
        return "answer is the input"
    if answer in examples:
        return "answer is that of an example"
    if re.search(r"(?:^|\n)\W*(?:Task(?: \d+)?|Input):", f"{given}\n{answer}"):
        return "answer goes on with another task"
    if len(words) >= _REPEATING and len(set(words)) / len(words) < _DISTINCT:
        return "answer repeats itself"
    return None
