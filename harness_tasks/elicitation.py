"""The elicitation methods by name, and the names that tasks and other packages use."""

from __future__ import annotations

from harness_tasks.methods.likelihood import Likelihood
from harness_tasks.methods.probe import Probe
from harness_tasks.methods.question import Question, Reading
from harness_tasks.methods.replies import parse_probability
from harness_tasks.methods.samples import DistinctAnswers, Sampling
from harness_tasks.methods.self_consistency import SelfConsistency
from harness_tasks.methods.semantic import SemanticClusters, SemanticEntropy
from harness_tasks.methods.verbalized import (
    CotVerbalized,
    Linguistic,
    Verbalized,
    VerbalizedTopK,
)
from harness_tasks.methods.yes_no import PIK, QuestionOnly, ZeroShotClassifier

__all__ = ["METHODS", "UNTRAINED", "Question", "Reading", "parse_probability"]

METHODS = {
    "likelihood": Likelihood,
    "zero_shot_classifier": ZeroShotClassifier,
    "question_only": QuestionOnly,
    "p_ik": PIK,
    "verbalized": Verbalized,
    "verbalized_top_k": VerbalizedTopK,
    "linguistic": Linguistic,
    "cot_verbalized": CotVerbalized,
    "sampling": Sampling,
    "distinct_answers": DistinctAnswers,
    "semantic_clusters": SemanticClusters,
    "semantic_entropy": SemanticEntropy,
    "self_consistency": SelfConsistency,
    "probe": Probe,
}
# What ``methods: all`` means: every method that needs nothing but the model.
UNTRAINED = tuple(name for name in METHODS if name != "probe")
