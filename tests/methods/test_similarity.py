"""Scores of how similar samples are: by hand, against networkx, and inside lm-eval.

lm-polygraph 0.7's own estimators gave the same numbers on 400 random sets of texts, to 1e-15; they
were run apart, since the package needs more than these tests.
"""

import itertools
import math

import networkx as nx
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from harness_tasks.elicitation.methods.similarity import (
    DegreeMatrix,
    LaplacianEigenvalues,
    similarity,
)
from harness_tasks.elicitation.registry import METHODS
from harness_tasks.elicitation.settings import OF_SIMILARITIES, parse_settings
from helpers.questions import make_question
from helpers.transparent_model import Transparent, evaluate, on_rows

GRAPH = ("degree_matrix", "laplacian_eigenvalues")


def read(methods, samples, answer="Paris", options=None, scores=None, entropy=()):
    """Readings by method; `scores` maps a text to its log-probability and number of tokens."""
    settings = parse_settings("t", {"methods": list(methods), "k": len(samples)})
    question = make_question(answer, options)
    built = {name: METHODS[name](settings) for name in methods}
    asked = {name: method.requests(question) for name, method in built.items()}
    requests = [request for added in asked.values() for request in added]
    question.shared["samples"][0].resps = list(samples)
    for request in requests:
        if "statistics" in request.request_type:
            request.resps = [{"entropy": list(entropy)}]
        elif "loglikelihood" in request.request_type:
            request.resps = [(scores or {}).get(request.args[1].strip(), (-1.0, 1))]
    return {name: method.read(question, asked[name]) for name, method in built.items()}, requests


def confidence(method, *args, **kwargs):
    return read([method], *args, **kwargs)[0][method].confidence


SAMPLES = ["New York City", "New York", "York"]
# Words in common by words in all: 2/3, 1/3 and 1/2.
MATRIX = np.array([[1, 2 / 3, 1 / 3], [2 / 3, 1, 1 / 2], [1 / 3, 1 / 2, 1]])


def test_the_degree_matrix_by_hand():
    assert confidence("degree_matrix", SAMPLES) == pytest.approx((3 + 2 * 1.5) / 9)


def test_the_laplacian_is_that_of_networkx():
    laplacian = nx.normalized_laplacian_matrix(nx.from_numpy_array(MATRIX)).toarray()
    meanings = sum(max(0, 1 - value) for value in scipy.linalg.eigvalsh(laplacian))
    expected = 1 - (meanings - 1) / 2
    assert 0 < expected < 1
    assert confidence("laplacian_eigenvalues", SAMPLES) == pytest.approx(expected)


def test_two_meanings_are_counted_as_two():
    """Two blocks: the eigenvalue 0 twice, as for the components of any graph."""
    samples = ["Lima"] * 3 + ["Quito"] * 2
    assert confidence("laplacian_eigenvalues", samples) == pytest.approx(1 - (2 - 1) / 4)


@pytest.mark.parametrize("method", GRAPH)
def test_samples_that_are_all_the_same_give_full_confidence(method):
    assert confidence(method, ["Paris", "paris.", " Paris"]) == pytest.approx(1)


def test_samples_without_a_word_in_common():
    assert confidence("degree_matrix", ["Lima", "Quito", "Oslo"]) == pytest.approx(1 / 3)
    assert confidence("laplacian_eigenvalues", ["Lima", "Quito", "Oslo"]) == pytest.approx(0)


SIMILARITIES = st.integers(2, 8).flatmap(
    lambda n: st.lists(st.lists(st.floats(0, 1), min_size=n, max_size=n), min_size=n, max_size=n)
)


@given(SIMILARITIES)
def test_more_similar_samples_never_give_less_by_degree_and_both_stay_in_range(values):
    matrix = np.array(values)
    matrix = np.maximum((matrix + matrix.T) / 2, np.eye(len(matrix)))
    closer = (matrix + 1) / 2
    assert 1 / len(matrix) <= DegreeMatrix.value(matrix) <= DegreeMatrix.value(closer) <= 1 + 1e-9
    assert -1e-9 <= LaplacianEigenvalues.value(matrix) <= 1 + 1e-9


@pytest.mark.parametrize("method", GRAPH)
def test_the_order_of_the_samples_changes_no_digit(method):
    """Else rounding would order questions that are equally sure, and AUROC would follow it."""
    samples = ["New York City", "New York", "New York", "Lima", "Oslo"]
    assert len({confidence(method, order) for order in itertools.permutations(samples)}) == 1


# The answer is the second sample, twice. Probabilities by token: 1/2 (one token), 1/4 (two), 1/8.
SCORES = {
    "New York City": (math.log(1 / 8) * 3, 3),
    "New York": (math.log(1 / 4) * 2, 2),
    "York": (math.log(1 / 2), 1),
}


def test_semantic_density_by_hand():
    samples = ["New York", "New York", "York", "New York City"]
    weights = [1 / 4, 1 / 2, 1 / 8, 1 / 4]  # each distinct sample once, and the answer
    alike = [1, 1 / 2, 2 / 3, 1]
    expected = np.average(alike, weights=weights)
    found = confidence("semantic_density", samples, "New York", scores=SCORES)
    assert found == pytest.approx(expected)


def test_cocoa_by_hand():
    samples = ["New York", "York", "New York City", "Oslo"]
    off = (0 + 1 / 2 + 1 / 3 + 1) / 4
    found, _ = read(
        ["cocoa_msp", "cocoa_ppl", "cocoa_mte"],
        samples,
        "New York",
        scores=SCORES,
        entropy=[math.log(2), math.log(8)],
    )
    assert found["cocoa_msp"].confidence == pytest.approx((1 / 16) ** off)
    assert found["cocoa_ppl"].confidence == pytest.approx((1 / 4) ** off)
    assert found["cocoa_mte"].confidence == pytest.approx((1 / 4) ** off)  # e^-H = 1 / sqrt(2 * 8)


def test_samples_that_all_give_the_answer_leave_nothing_to_be_unsure_of():
    assert confidence("cocoa_msp", ["Paris", "paris."], scores={"Paris": (-math.inf, 1)}) == 1


def test_they_share_the_samples_and_the_score_of_the_answer():
    _, requests = read(OF_SIMILARITIES, SAMPLES, "York", scores=SCORES, entropy=[1.0])
    kinds = [request.request_type.split("_after")[0] for request in requests]
    assert sorted(kinds) == sorted(
        ["generate_samples", *["token_loglikelihood"] * (3 + 1), "token_statistics"]
    )


def test_options_are_the_same_or_not():
    question = make_question("A", "ABCD")
    assert similarity(question, "A. Paris", "(A)") == 1
    assert similarity(question, "A. Paris", "B. Paris") == 0
    samples = ["A", "(A)", "B"]
    assert confidence("degree_matrix", samples, "A", "ABCD") == pytest.approx(5 / 9)


@pytest.mark.parametrize("method", OF_SIMILARITIES)
def test_samples_that_say_nothing_give_no_confidence(method):
    readings, _ = read([method], ["", "\n", "Paris"], entropy=[1.0])
    assert readings[method].confidence is None
    assert readings[method].reason == "only 1 of 3 sampled answers say anything"


@pytest.mark.parametrize("method", [m for m in OF_SIMILARITIES if m not in GRAPH])
def test_an_answer_that_says_nothing_has_no_confidence(method):
    readings, _ = read([method], ["Paris", "Paris"], answer="", entropy=[1.0])
    assert readings[method].reason == "the answer says nothing"


@pytest.mark.parametrize("method", ["semantic_density", "cocoa_ppl"])
def test_without_a_number_of_tokens_there_is_nothing_to_normalise(method):
    scores = {"Paris": (-1.0, None)}
    readings, _ = read([method], ["Paris", "Paris"], scores=scores)
    assert readings[method].confidence is None
    assert "how many tokens" in readings[method].reason


@pytest.mark.parametrize("method", GRAPH)
def test_comparing_samples_needs_two(method):
    with pytest.raises(ValueError, match=f"{method} need 'k' to be at least 2"):
        parse_settings("t", {"methods": [method], "k": 1})


def test_in_a_run_the_scored_texts_are_the_samples_behind_the_prompt(tmp_path):
    class Sampling(Transparent):
        drawn = 0

        def generate_until(self, requests):
            return [self.say(request.args[1].get("do_sample")) for request in requests]

        def say(self, sampled):
            self.drawn += bool(sampled)
            return [" New York", " York"][self.drawn % 2] if sampled else " New York"

    row = {"id": "a", "question": "Which city?", "answers": ["New York"]}
    on_rows(
        tmp_path,
        "open_ended_template_yaml",
        {"train": [row], "test": [row]},
        test_split="test",
        training_split="train",
        num_fewshot=0,
    )
    # A token is a word and costs a third of a nat per byte.
    metadata = {"methods": ["semantic_density", "cocoa_msp", "degree_matrix"], "k": 4}
    _, samples = evaluate("mini", Sampling(), tmp_path, metadata)
    found = {s["filter"]: s["filtered_resps"][0]["confidence"] for s in samples}
    weights = [math.exp(-9 / 3 / 2), math.exp(-5 / 3), math.exp(-9 / 3 / 2)]
    assert found["semantic_density"] == pytest.approx(np.average([1, 0.5, 1], weights=weights))
    assert found["cocoa_msp"] == pytest.approx(math.exp(-9 / 3 * (0 + 0 + 0.5 + 0.5) / 4))
    assert found["degree_matrix"] == pytest.approx((4 + 4 + 8 * 0.5) / 16)
