"""The elicitation methods by name."""

from __future__ import annotations

from harness_tasks.elicitation.methods.likelihood import Likelihood
from harness_tasks.elicitation.methods.one_turn import OneTurn
from harness_tasks.elicitation.methods.order_agreement import OrderAgreement
from harness_tasks.elicitation.methods.probe import Probe
from harness_tasks.elicitation.methods.samples import DistinctAnswers, Sampling
from harness_tasks.elicitation.methods.self_consistency import SelfConsistency
from harness_tasks.elicitation.methods.semantic import SemanticClusters, SemanticEntropy
from harness_tasks.elicitation.methods.similarity import (
    CocoaMSP,
    CocoaMTE,
    CocoaPPL,
    DegreeMatrix,
    LaplacianEigenvalues,
    SemanticDensity,
)
from harness_tasks.elicitation.methods.token_scores import (
    MinTokenProbability,
    SequenceProbability,
    TokenEntropy,
    TokenMargin,
)
from harness_tasks.elicitation.methods.verbalized import (
    CotVerbalized,
    Linguistic,
    Verbalized,
    VerbalizedTopK,
)
from harness_tasks.elicitation.methods.yes_no import PIK, QuestionOnly, ZeroShotClassifier
from harness_tasks.elicitation.question import Method
from harness_tasks.elicitation.settings import MethodName

METHODS: dict[MethodName, type[Method]] = {
    "likelihood": Likelihood,
    "sequence_probability": SequenceProbability,
    "min_token_probability": MinTokenProbability,
    "token_entropy": TokenEntropy,
    "token_margin": TokenMargin,
    "zero_shot_classifier": ZeroShotClassifier,
    "question_only": QuestionOnly,
    "p_ik": PIK,
    "verbalized": Verbalized,
    "verbalized_top_k": VerbalizedTopK,
    "linguistic": Linguistic,
    "cot_verbalized": CotVerbalized,
    "one_turn": OneTurn,
    "sampling": Sampling,
    "distinct_answers": DistinctAnswers,
    "semantic_clusters": SemanticClusters,
    "semantic_entropy": SemanticEntropy,
    "degree_matrix": DegreeMatrix,
    "laplacian_eigenvalues": LaplacianEigenvalues,
    "semantic_density": SemanticDensity,
    "cocoa_msp": CocoaMSP,
    "cocoa_ppl": CocoaPPL,
    "cocoa_mte": CocoaMTE,
    "self_consistency": SelfConsistency,
    "order_agreement": OrderAgreement,
    "probe": Probe,
}
