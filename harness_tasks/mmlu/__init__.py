"""MMLU with all subjects in one task: pooled scores, and beside them the means over subjects."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from calib_metrics import lm_eval_hooks
from harness_tasks.elicitation.harness import metric_names
from harness_tasks.elicitation.records import Record
from harness_tasks.task import ConfidenceTask

Item = tuple[float | None, int, str]  # confidence, correct, subject
MEAN = "_subject_mean"


class PooledMMLU(ConfidenceTask):
    """Few-shot examples are those of the question's own subject, as in the tasks by subject."""

    def __init__(self, config: dict[str, Any]):
        super().__init__(config)
        self._examples = defaultdict(list)
        for example in self.sampler.df:
            self._examples[example["subject"]].append(example)

    def fewshot_context(self, doc: dict, num_fewshot: int, *args: Any, **kwargs: Any) -> str:
        """The prompt, with examples of the question's own subject."""
        self.sampler.replace_df(self._examples[doc["subject"]])
        return super().fewshot_context(doc, num_fewshot, *args, **kwargs)

    def _values(self, doc: dict, record: Record) -> dict[str, Any]:
        item = (record["confidence"], record["correct"], doc["subject"])
        by_subject = {name: item for name in metric_names(self) if name.endswith(MEAN)}
        return {**super()._values(doc, record), **by_subject}


def acc_subject_mean(items: Sequence[Item]) -> float:
    """Mean over subjects of the accuracy, with equal weights."""
    return _subject_mean(lambda pairs: fmean(correct for _, correct in pairs), items)


def ece_subject_mean(items: Sequence[Item]) -> float:
    """Mean over subjects of the ECE; the fewer questions, the more it exceeds the pooled one."""
    return _subject_mean(lm_eval_hooks.ece, items)


def auroc_subject_mean(items: Sequence[Item]) -> float:
    """Mean over subjects of the AUROC, without those where all answers are right or wrong."""
    return _subject_mean(lm_eval_hooks.auroc, items)


def brier_subject_mean(items: Sequence[Item]) -> float:
    """Mean over subjects of the Brier score."""
    return _subject_mean(lm_eval_hooks.brier, items)


def _subject_mean(score: Callable[[list], float], items: Sequence[Item]) -> float:
    subjects = defaultdict(list)
    for confidence, correct, subject in items:
        subjects[subject].append((confidence, correct))
    scores = [score(pairs) for pairs in subjects.values()]
    defined = [value for value in scores if not math.isnan(value)]
    return fmean(defined) if defined else math.nan
