"""Are our scores of tokens and samples those of lm-polygraph and uqlm, on one model's answers?

    calibench eval --model calib-hf --model_args pretrained=$(calibench model),dtype=float32 \\
        --tasks calib_worldfacts --limit 200 --batch_size auto --output_path runs/peers \\
        --log_samples --metadata '{"methods": ["likelihood", "sequence_probability",
            "min_token_probability", "token_entropy", "token_margin", "sampling", "degree_matrix",
            "laplacian_eigenvalues", "semantic_density", "cocoa_msp", "cocoa_ppl", "cocoa_mte"]}'
    python -m venv lmp && lmp/bin/pip install lm-polygraph==0.7.0
    python -m venv uqlm && uqlm/bin/pip install uqlm==0.6.7
    python benchmarks/peer_scores.py runs/peers --model $(calibench model) \\
        --polygraph_python lmp/bin/python --uqlm_python uqlm/bin/python

Our confidences are those that the run logged. The token probabilities of its answers and samples
are computed here, by transformers alone, and given with the texts to the scorers of the two
libraries, each in a process of its own, since they need other versions of their dependencies.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness_tasks.elicitation.abstention import says_nothing
from harness_tasks.elicitation.grading import same, words
from harness_tasks.elicitation.logs import find_log
from harness_tasks.elicitation.methods.semantic import jaccard
from harness_tasks.elicitation.records import read_samples

TOP = 20  # likeliest tokens that uqlm gets, as servers return them
POLYGRAPH = """
import json, sys
import numpy as np
from lm_polygraph.estimators import (
    CocoaMSP, CocoaMTE, CocoaPPL, DegMat, EigValLaplacian, MaximumSequenceProbability,
    MeanTokenEntropy, Perplexity, SemanticDensity,
)
rows = json.load(sys.stdin)
ours = [np.array(row["similarities"]) for row in rows]
to_answer = [np.array(row["to_answer"]) for row in rows]
stats = {
    "greedy_log_likelihoods": [row["logprobs"] for row in rows],
    "entropy": [row["entropies"] for row in rows],
    "sample_texts": [row["samples"] for row in rows],
    "sample_log_probs": [[sum(one) for one in row["sample_logprobs"]] for row in rows],
    "sample_tokens": [row["sample_logprobs"] for row in rows],  # their number counts
    "concat_greedy_semantic_matrix_contra_forward": [1 - one for one in to_answer],
    "concat_greedy_semantic_matrix_neutral_forward": [0 * one for one in to_answer],
    "greedy_sentence_similarity": to_answer,
}
found = {
    str(name): estimator(stats).tolist()
    for name, estimator in (
        ("MaximumSequenceProbability", MaximumSequenceProbability()), ("Perplexity", Perplexity()),
        ("MeanTokenEntropy", MeanTokenEntropy()), ("SemanticDensity", SemanticDensity()),
        ("CocoaMSP", CocoaMSP()), ("CocoaPPL", CocoaPPL()), ("CocoaMTE", CocoaMTE()),
        ("DegMat, its words", DegMat("Jaccard_score")),
        ("EigValLaplacian, its words", EigValLaplacian("Jaccard_score")),
    )
}
for name, estimator in (("DegMat", DegMat()), ("EigValLaplacian", EigValLaplacian())):
    found[name] = [
        estimator({"sample_texts": [row["samples"]], "semantic_matrix_entail": one[None]}).item()
        for row, one in zip(rows, ours)
    ]
print("SCORES" + json.dumps(found))
"""
UQLM = """
import json, sys
from uqlm.black_box.match import MatchScorer
from uqlm.white_box.single_logprobs import SingleLogprobsScorer
from uqlm.white_box.top_logprobs import TopLogprobsScorer
rows = json.load(sys.stdin)
tokens = [
    [{"logprob": one, "top_logprobs": [{"logprob": p} for p in top]}
     for one, top in zip(row["logprobs"], row["top"])]
    for row in rows
]
single = SingleLogprobsScorer().evaluate(tokens)
whole = SingleLogprobsScorer(length_normalize=False).evaluate(tokens)
top = TopLogprobsScorer(top_k_logprobs=len(rows[0]["top"][0])).evaluate(tokens)
match = MatchScorer().evaluate([row["answer"] for row in rows], [row["samples"] for row in rows])
print("SCORES" + json.dumps({
    "sequence_probability": single["sequence_probability"],
    "sequence_probability, length_normalize=False": whole["sequence_probability"],
    "min_probability": single["min_probability"],
    "probability_margin": top["probability_margin"],
    "mean_token_negentropy": top["mean_token_negentropy"],
    "exact_match": [float(one) for one in match],
}))
"""
# Ours, theirs, and how their number becomes one of ours; n is the number of samples.
PAIRS = (
    ("likelihood", "Perplexity", lambda u, n: np.exp(-u)),
    ("sequence_probability", "MaximumSequenceProbability", lambda u, n: np.exp(-u)),
    ("token_entropy", "MeanTokenEntropy", lambda u, n: np.exp(-u)),
    ("degree_matrix", "DegMat", lambda u, n: 1 - u),
    ("degree_matrix", "DegMat, its words", lambda u, n: 1 - u),
    ("laplacian_eigenvalues", "EigValLaplacian", lambda u, n: 1 - (u - 1) / (n - 1)),
    ("laplacian_eigenvalues", "EigValLaplacian, its words", lambda u, n: 1 - (u - 1) / (n - 1)),
    ("semantic_density", "SemanticDensity", lambda u, n: -u),
    ("cocoa_msp", "CocoaMSP", lambda u, n: np.exp(-u)),
    ("cocoa_ppl", "CocoaPPL", lambda u, n: np.exp(-u)),
    ("cocoa_mte", "CocoaMTE", lambda u, n: np.exp(-u)),
    ("likelihood", "sequence_probability", lambda c, n: c),
    ("sequence_probability", "sequence_probability, length_normalize=False", lambda c, n: c),
    ("min_token_probability", "min_probability", lambda c, n: c),
    ("token_margin", "probability_margin", lambda c, n: c),
    ("token_entropy", "mean_token_negentropy", lambda c, n: c),
    ("sampling", "exact_match", lambda c, n: c),
)


def questions_of(run: Path) -> list[dict[str, Any]]:
    """The questions of which every method of the run has a confidence."""
    found: dict[str, dict[str, Any]] = {}
    for row, record in read_samples(find_log(run, "RUN", "give a run of calibench eval")):
        asked = row["arguments"]["gen_args_1"]  # the answer, scored as `likelihood` does
        question = found.setdefault(
            record["id"],
            {
                "context": asked["arg_0"],
                "answer": record["answer"],
                "scored": asked["arg_1"],
                "correct": record["correct"],
                "confidences": {},
            },
        )
        question["confidences"][record["method"]] = record["confidence"]
        if "samples" in record:
            question["samples"] = [text for text in record["samples"] if not says_nothing(text)]
    return [each for each in found.values() if None not in each["confidences"].values()]


def similarity(one: str, other: str) -> float:
    """That of our methods of samples, for open-ended questions."""
    if same(one, other):
        return 1.0
    return jaccard(*(" ".join(words(text)) for text in (one, other)))


def distributions(
    model: Any, tokenizer: Any, context: str, text: str
) -> Iterator[tuple[int, torch.Tensor]]:
    """Each token of a text behind a context, and the log-probabilities of all tokens there."""
    first = len(tokenizer(context)["input_ids"])
    tokens = tokenizer(context + text, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        logits = model(tokens, logits_to_keep=tokens.shape[1] - first + 1).logits[0, :-1]
    logprobs = logits.double().log_softmax(-1)
    yield from zip(tokens[0, first:].tolist(), logprobs, strict=True)


def add_numbers(questions: list[dict[str, Any]], folder: str) -> None:
    """Add what the scorers read: log-probabilities, entropies, and similarities of texts."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    for each in tqdm(questions, "Probabilities of tokens"):
        steps = list(distributions(model, tokenizer, each["context"], each["scored"]))
        each["logprobs"] = [row[token].item() for token, row in steps]
        each["entropies"] = [-(row.exp() * row).sum().item() for _, row in steps]
        each["top"] = [row.topk(TOP).values.tolist() for _, row in steps]
        of_text = {}
        for text in dict.fromkeys(each["samples"]):
            pairs = distributions(model, tokenizer, each["context"], f" {text}")
            of_text[text] = [row[token].item() for token, row in pairs]
        each["sample_logprobs"] = [of_text[text] for text in each["samples"]]
        each["to_answer"] = [similarity(each["answer"], text) for text in each["samples"]]
        each["similarities"] = [
            [similarity(one, other) for other in each["samples"]] for one in each["samples"]
        ]


def scores(python: str | None, program: str, questions: list[dict[str, Any]]) -> dict[str, Any]:
    """What the scorers of a library find, by their names; nothing without its interpreter."""
    if python is None:
        return {}
    run = subprocess.run(
        [python, "-c", program], input=json.dumps(questions), capture_output=True, text=True
    )
    if run.returncode:
        sys.exit(f"{python} failed:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.partition("SCORES")[2])


def main() -> None:
    """Print, for each pair of scores, the largest difference and both AUROCs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="output of calibench eval")
    parser.add_argument("--model", required=True, help="folder of the model that answered")
    parser.add_argument("--polygraph_python", help="interpreter that has lm-polygraph")
    parser.add_argument("--uqlm_python", help="interpreter that has uqlm")
    given = parser.parse_args()
    questions = questions_of(given.run)
    add_numbers(questions, given.model)
    theirs = scores(given.polygraph_python, POLYGRAPH, questions)
    theirs |= scores(given.uqlm_python, UQLM, questions)
    correct = [each["correct"] for each in questions]
    n = np.array([len(each["samples"]) for each in questions])
    print(f"{len(questions)} questions, {sum(correct)} answered right\n")
    print("| ours | theirs | largest difference | questions that differ | AUROC, ours | theirs |")
    print("|---|---|--:|--:|--:|--:|")
    for name, other, convert in PAIRS:
        if other not in theirs:
            continue
        mine = np.array([each["confidences"][name] for each in questions])
        converted = convert(np.array(theirs[other]), n)
        off = np.abs(mine - converted)
        areas = (f"{roc_auc_score(correct, side):.3f}" for side in (mine, converted))
        print(
            f"| `{name}` | {other} | {off.max():.0e} | {(off > 1e-4).sum()} | {' | '.join(areas)} |"
        )


if __name__ == "__main__":
    main()
