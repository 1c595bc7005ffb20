"""calib-hf serves each model of the catalogue fast, with the numbers of ``hf``."""

import pytest
from lm_eval.models.huggingface import HFLM

from calib_adapters.serving.model import CalibHFLM
from harness_tasks.embedded_models import MODELS
from helpers.model_cache import folder_of
from helpers.task_runs import TASKS, run

pytestmark = pytest.mark.nightly
OPTIONS = {"device": "cpu", "dtype": "float32"}
METHODS = ["likelihood", "zero_shot_classifier", "verbalized"]


def ask(model):
    done = run(
        "calib_worldfacts", include=TASKS / "worldfacts", model=model, limit=6, num_fewshot=3,
        metadata={"methods": METHODS},
    )  # fmt: skip
    return done["samples"]["calib_worldfacts"]


@pytest.mark.parametrize("name", MODELS)
def test_answers_are_those_of_hf_and_numbers_too(name, monkeypatch):
    folder = str(folder_of(name))
    # In float64: the logarithms of float32 probabilities, as torch sums these on a CPU, are off by
    # some 5e-5 for each token of a large vocabulary. Ours are not.
    expected = ask(HFLM(folder, batch_size=1, softmax_dtype="float64", **OPTIONS))

    def refuse(*args, **kwargs):
        raise AssertionError("the stock back end was asked")

    monkeypatch.setattr(HFLM, "generate_until", refuse)
    monkeypatch.setattr(HFLM, "_loglikelihood_tokens", refuse)
    found = ask(CalibHFLM(folder, batch_size="auto", **OPTIONS))
    for one, other in zip(found, expected, strict=True):
        assert one["arguments"] == other["arguments"]  # a second turn quotes the answer
        ours, theirs = one["filtered_resps"][0].data, other["filtered_resps"][0].data
        assert ours["answer"] == theirs["answer"]
        assert ours["confidence"] == pytest.approx(theirs["confidence"], abs=1e-5)
        for replies, others in zip(one["resps"], other["resps"], strict=True):
            for reply, its in zip(replies, others, strict=True):
                if isinstance(its, tuple):
                    assert reply[0] == pytest.approx(its[0], abs=1e-5) and reply[1] == its[1]
                else:
                    assert reply == its
