"""Requests to a back end, and whether two gave the same scores."""

import numpy as np
from lm_eval.api.instance import Instance

GREEDY = {"until": ["\n"], "max_gen_toks": 8, "do_sample": False}
QUESTIONS = ["Capital of Peru?", "Who wrote Hamlet, and when, and why, do you think?", "2 + 2 ="]


def generations(prompts, kind="generate_until", **generation):
    arguments = {**GREEDY, **generation}
    return [
        Instance(kind, {}, (prompt, dict(arguments)), 0, ("t", i, 1))
        for i, prompt in enumerate(prompts)
    ]


def continuations(pairs):
    return [Instance("loglikelihood", {}, pair, 0, ("t", i, 1)) for i, pair in enumerate(pairs)]


def check_scores(found, expected):
    assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]
    np.testing.assert_allclose([x for x, _ in found], [x for x, _ in expected], atol=1e-4)
