"""The labels of methods in tables and figures."""

from __future__ import annotations

COMBINED = "combined"  # a fit on several methods' confidences (`calibench combine`)
CONSTANT = "constant"  # the method that always says the accuracy in training
_LABELS = {
    "likelihood": "Likelihood",
    "acc": "Likelihood (acc)",
    "acc_norm": "Likelihood (acc_norm)",
    "acc_bytes": "Likelihood (acc_bytes)",
    "sequence_probability": "Sequence Probability",
    "min_token_probability": "Least Token Probability",
    "token_entropy": "Token Entropy",
    "token_margin": "Token Margin",
    "zero_shot_classifier": "Zero-Shot Classifier",
    "p_ik": "P(IK)",
    "verbalized": "Verbalized",
    "verbalized_top_k": "Verbalized Top-k",
    "linguistic": "Linguistic",
    "cot_verbalized": "Reasoned, then Verbalized",
    "one_turn": "Verbalized with the Answer",
    "sampling": "Sampling",
    "distinct_answers": "Distinct Answers",
    "semantic_clusters": "Semantic Clusters",
    "semantic_entropy": "Semantic Entropy",
    "degree_matrix": "Degree Matrix",
    "laplacian_eigenvalues": "Laplacian Eigenvalues",
    "semantic_density": "Semantic Density",
    "cocoa_msp": "CoCoA (sequence)",
    "cocoa_ppl": "CoCoA (perplexity)",
    "cocoa_mte": "CoCoA (entropy)",
    "self_consistency": "Self-Consistency",
    "order_agreement": "Agreement over Orders",
    "probe": "Probe",
    "question_only": "Question only",
    COMBINED: "Combined",
    CONSTANT: "Constant (train accuracy)",
}
_TUNED = {
    "zero_shot_classifier": "Fine-Tuned",
    "question_only": "Fine-Tuned (question only)",
}
YES_NO = (*_TUNED, "p_ik")  # methods that are a yes/no question about an answer
SANITY = ("question_only", CONSTANT)  # baselines that every method should beat


def label_of(method: str, has_adapter: bool) -> str:
    """The label of a method, with an adapter or without."""
    if has_adapter and method in _TUNED:
        return _TUNED[method]
    label = _LABELS.get(method) or method.replace("_", " ").capitalize()
    return f"{label} (adapter)" if has_adapter and method not in (COMBINED, CONSTANT) else label
