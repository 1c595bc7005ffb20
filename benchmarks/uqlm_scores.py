"""Are our scores of tokens and samples those of uqlm, where both define the same?

    python -m venv uqlm && uqlm/bin/pip install uqlm==0.6.7
    python benchmarks/uqlm_scores.py --uqlm_python uqlm/bin/python

uqlm needs older versions of NumPy and transformers, so its scorers run in a process of its own, on
the same random token distributions and the same samples as ours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import numpy as np

WORDS = ("Paris", "paris", "Lyon", "the city of Paris", "Nice", "Lille")
THEIRS = """
import json, sys
from uqlm.black_box.match import MatchScorer
from uqlm.white_box.single_logprobs import SingleLogprobsScorer
from uqlm.white_box.top_logprobs import TopLogprobsScorer

given = json.load(sys.stdin)
tokens = [
    [{"logprob": one, "top_logprobs": [{"logprob": p} for p in top]} for one, top in zip(*answer)]
    for answer in given["answers"]
]
size = len(given["answers"][0][1][0])
single = SingleLogprobsScorer().evaluate(tokens)
whole = SingleLogprobsScorer(length_normalize=False).evaluate(tokens)
top = TopLogprobsScorer(top_k_logprobs=size).evaluate(tokens)
match = MatchScorer().evaluate([texts[0] for texts in given["texts"]],
                               [texts[1:] for texts in given["texts"]])
print("SCORES" + json.dumps({
    "normalised": single["sequence_probability"], "whole": whole["sequence_probability"],
    "min": single["min_probability"], "margin": top["probability_margin"],
    "negentropy": top["mean_token_negentropy"], "match": [float(m) for m in match],
}))
"""


def draw(answers: int, size: int) -> dict:
    """Random answers: the log-probabilities of their tokens and of all that were possible there."""
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(answers):
        logits = rng.normal(scale=3, size=(rng.integers(1, 8), size))
        logprobs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        chosen = logprobs[np.arange(len(logprobs)), rng.integers(size, size=len(logprobs))]
        drawn.append((chosen.tolist(), logprobs.tolist()))
    return {"answers": drawn, "texts": rng.choice(WORDS, size=(answers, 11)).tolist()}


def ours(given: dict) -> dict[str, np.ndarray]:
    """Our scores, by the functions that the methods use."""
    from harness_tasks.elicitation.grading import same
    from harness_tasks.elicitation.methods.token_scores import (
        MinTokenProbability,
        TokenEntropy,
        TokenMargin,
    )

    found: dict[str, list[float]] = {}
    for (chosen, possible), texts in zip(given["answers"], given["texts"], strict=True):
        logprobs = np.array(possible)
        top = np.sort(np.exp(logprobs), axis=1)
        statistics = {
            "logprob": chosen,
            "entropy": (-np.exp(logprobs) * logprobs).sum(1).tolist(),
            "margin": (top[:, -1] - top[:, -2]).tolist(),
        }
        scores = {
            "likelihood": np.exp(np.mean(chosen)),
            "sequence_probability": np.exp(np.sum(chosen)),
            "min_token_probability": MinTokenProbability.value(statistics),
            "token_margin": TokenMargin.value(statistics),
            "token_entropy": TokenEntropy.value(statistics),
            "sampling": np.mean([same(text, texts[0]) for text in texts[1:]]),
            "sampling, by equal texts": np.mean([text == texts[0] for text in texts[1:]]),
        }
        for name, value in scores.items():
            found.setdefault(name, []).append(float(value))
    return {name: np.array(values) for name, values in found.items()}


PAIRS = (
    ("likelihood", "normalised"), ("sequence_probability", "whole"),
    ("min_token_probability", "min"), ("token_margin", "margin"),
    ("token_entropy", "negentropy"), ("sampling", "match"), ("sampling, by equal texts", "match"),
)  # fmt: skip


def main() -> None:
    """Print the largest difference of each pair of scores, and whether they order alike."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--uqlm_python", default=sys.executable)
    parser.add_argument("--answers", type=int, default=200)
    options = parser.parse_args()
    given = draw(options.answers, size=50)
    run = subprocess.run(
        [options.uqlm_python, "-c", THEIRS],
        input=json.dumps(given), capture_output=True, text=True, check=True,
    )  # fmt: skip
    theirs = json.loads(run.stdout.partition("SCORES")[2])
    mine = ours(given)
    print("| ours | uqlm | largest difference | same order |\n|---|---|--:|---|")
    for one, other in PAIRS:
        difference = np.abs(mine[one] - theirs[other]).max()
        alike = (
            np.argsort(mine[one], kind="stable") == np.argsort(theirs[other], kind="stable")
        ).all()
        print(f"| `{one}` | {other} | {difference:.1e} | {'yes' if alike else 'no'} |")


if __name__ == "__main__":
    main()
