"""Scores of the answer's own tokens: against transformers and SciPy, on both of our back ends."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM, AutoTokenizer

from calib_adapters.serving.model import CalibHFLM
from calib_adapters.training.base_model import add_lora, load_base, save_adapter
from calib_adapters.training.schema import Lora
from harness_tasks.elicitation.methods.token_scores import (
    MinTokenProbability,
    TokenEntropy,
    TokenMargin,
)
from harness_tasks.elicitation.token_statistics import token_statistics
from helpers.task_runs import TASKS, Hashed, records, run

CPU = {"device": "cpu", "dtype": "float32"}
PAIRS = [
    ("Question: Capital of Peru?\nAnswer:", " Lima"),
    (
        "Question: Who wrote Hamlet, and why, do you think?\nAnswer:",
        " William Shakespeare, in 1600",
    ),
    ("2 + 2 =", " 4"),
    ("<user>2 + 2 =<assistant>\n", "four"),
]
METHODS = ["likelihood", "sequence_probability", *("min_token_probability", "token_entropy")]


def requests(pairs):
    return [Instance("token_statistics", doc={}, arguments=pair, idx=0) for pair in pairs]


def by_hand(folder, context, answer):
    """The distributions at the answer's tokens, one text at a time, and the tokens."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = tokenizer(context + answer, return_tensors="pt").input_ids
    start = len(tokenizer(context).input_ids)
    with torch.no_grad():
        logits = model(ids).logits[0].double()
    return torch.softmax(logits[start - 1 : -1], dim=-1).numpy(), ids[0, start:].numpy()


@pytest.fixture(scope="module", params=[HFLM, CalibHFLM])
def lm(request, tiny):
    return request.param(tiny, batch_size=3, **CPU)


def test_each_number_is_that_of_the_models_own_distributions(tiny, lm):
    found = lm.token_statistics(requests(PAIRS))
    for (context, answer), statistics in zip(PAIRS, found, strict=True):
        shares, tokens = by_hand(tiny, context, answer)
        chosen = shares[np.arange(len(tokens)), tokens]
        assert statistics["logprob"] == pytest.approx(np.log(chosen), abs=1e-5)
        assert statistics["entropy"] == pytest.approx(scipy.stats.entropy(shares, axis=1), abs=1e-4)
        top = np.sort(shares, axis=1)
        assert statistics["margin"] == pytest.approx(top[:, -1] - top[:, -2], abs=1e-6)


def test_the_log_probabilities_sum_to_lm_evals(lm):
    plain = [Instance("loglikelihood", doc={}, arguments=pair, idx=0) for pair in PAIRS[:3]]
    sums = [math.fsum(each["logprob"]) for each in lm.token_statistics(requests(PAIRS[:3]))]
    assert sums == pytest.approx([logprob for logprob, _ in lm.loglikelihood(plain)], abs=1e-4)


def test_an_adapter_that_only_judges_does_not_score_the_answer(tiny, tmp_path):
    torch.manual_seed(0)
    model = add_lora(load_base(tiny, "float32", torch.device("cpu")), Lora(r=4), tiny)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    save_adapter(model, tiny, tmp_path)
    base = CalibHFLM(tiny, **CPU).token_statistics(requests(PAIRS))
    judged = CalibHFLM(tiny, confidence_adapter=str(tmp_path), **CPU)
    under = CalibHFLM(tiny, peft=str(tmp_path), **CPU)
    for one, same, other in zip(
        base,
        judged.token_statistics(requests(PAIRS)),
        under.token_statistics(requests(PAIRS)),
        strict=True,
    ):
        assert same["logprob"] == pytest.approx(one["logprob"], abs=1e-5)
        assert other["logprob"] != pytest.approx(one["logprob"], abs=1e-2)


def test_the_confidences_by_hand():
    # Tokens of probability 1/2 and 1/4; entropies of 2 and of 8 equally likely tokens.
    statistics = {
        "logprob": [math.log(1 / 2), math.log(1 / 4)],
        "entropy": [math.log(2), math.log(8)],
        "margin": [0.3, 0.1],
    }
    assert MinTokenProbability.value(statistics) == pytest.approx(1 / 4)
    assert TokenEntropy.value(statistics) == pytest.approx(1 / 4)  # 1 / sqrt(2 * 8)
    assert TokenMargin.value(statistics) == pytest.approx(0.2)


def test_a_run_has_them_as_methods_and_asks_once_for_all(tiny, lm, hub):
    methods = [*METHODS, "token_margin"]
    results = run("calib_nq_open", include=TASKS, model=lm, limit=4, metadata={"methods": methods})
    found = {name: records(results, "calib_nq_open", name) for name in methods}
    rows = [row for row in results["samples"]["calib_nq_open"] if row["filter"] == methods[0]]
    assert len(rows[0]["arguments"]) == 3  # the answer, its log-likelihood, its distributions
    compared = 0
    for place, row in enumerate(rows):
        record = found["likelihood"][place]
        if not record["answer"] or record["confidence"] is None:
            continue
        compared += 1
        shares, tokens = by_hand(tiny, row["arguments"][0][0], " " + record["answer"])
        chosen = shares[np.arange(len(tokens)), tokens]
        top = np.sort(shares, axis=1)
        expected = {
            "likelihood": np.exp(np.log(chosen).mean()),
            "sequence_probability": chosen.prod(),
            "min_token_probability": chosen.min(),
            "token_entropy": np.exp(-scipy.stats.entropy(shares, axis=1).mean()),
            "token_margin": (top[:, -1] - top[:, -2]).mean(),
        }
        for name, value in expected.items():
            assert found[name][place]["confidence"] == pytest.approx(value, abs=1e-5), name
    assert compared


def test_a_back_end_without_distributions_is_told_before_any_question(hub):
    class Counting(Hashed):
        asked = 0

        def generate_until(self, requests):
            self.asked += len(requests)
            return super().generate_until(requests)

    model = Counting()
    metadata = {"methods": ["token_margin", "token_entropy"]}
    with pytest.raises(NotImplementedError, match="token_entropy, token_margin need.*calib-hf"):
        run("calib_nq_open", include=TASKS, model=model, limit=4, metadata=metadata)
    assert model.asked == 0


def test_a_cached_model_is_asked_directly(tiny, tmp_path):
    from lm_eval.api.model import CachingLM

    model = HFLM(tiny, batch_size=2, **CPU)
    cached = CachingLM(model, str(tmp_path / "cache.db"))
    assert token_statistics(cached, requests(PAIRS)) == token_statistics(model, requests(PAIRS))
