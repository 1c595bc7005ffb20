"""Methods that read one set of sampled answers: shares, clusters of one meaning, entropy."""

import json
import math

import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from harness_tasks.elicitation.methods.samples import group
from harness_tasks.elicitation.methods.semantic import alike, entropy, jaccard
from harness_tasks.elicitation.registry import METHODS
from harness_tasks.elicitation.settings import parse_settings
from helpers.questions import make_question


def ask(methods, samples, answer="Paris", options=None, logprobs=None, **metadata):
    """Readings and requests of `methods` on one question, given what the model samples."""
    settings = parse_settings("t", {"methods": methods, "k": len(samples), **metadata})
    question = make_question(answer, options)
    built = {name: METHODS[name](settings) for name in methods}
    requests = {name: method.requests(question) for name, method in built.items()}
    for request in (r for added in requests.values() for r in added):
        if request.request_type == "generate_samples":
            request.resps = list(samples)
        else:
            request.resps = [(logprobs[request.args[1].strip()], False)]
    readings = {name: m.read(question, requests[name]) for name, m in built.items()}
    return readings, requests


def confidence(method, samples, *args, **kwargs):
    readings, _ = ask([method], samples, *args, **kwargs)
    return readings[method].confidence


SHARING = ["sampling", "distinct_answers", "semantic_clusters", "semantic_entropy"]


@pytest.mark.parametrize("first", range(len(SHARING)))
def test_methods_that_read_samples_ask_for_them_once(first):
    methods = SHARING[first:] + SHARING[:first]
    readings, requests = ask(methods, [" Paris", " Lyon", " Paris\nmore", " paris."])
    asked = [request for added in requests.values() for request in added]
    assert [request.repeats for request in asked] == [4]
    assert readings["sampling"].confidence == 0.75
    assert readings["distinct_answers"].confidence == pytest.approx(1 - 1 / 3)
    assert readings["semantic_clusters"].confidence == 0.75
    # Two clusters of weights 3/4 and 1/4, by another implementation of the entropy.
    expected = 1 - scipy.stats.entropy([0.75, 0.25], base=4)
    assert readings["semantic_entropy"].confidence == pytest.approx(expected)


def test_each_distinct_sample_is_scored_once_for_all_methods_that_weigh():
    logprobs = {"Paris": math.log(0.6), "Lyon": math.log(0.2)}
    methods = ["sampling", "semantic_clusters", "semantic_entropy"]
    readings, requests = ask(
        methods,
        ["Paris", "Lyon", "Lyon", ""],
        logprobs={**logprobs, "": -1.0},
        weighting="likelihood",
    )
    assert sum(len(added) for added in requests.values()) == 5  # the samples and four scores
    assert readings["sampling"].confidence == pytest.approx(0.75)
    assert readings["semantic_clusters"].confidence == pytest.approx(0.75)
    expected = 1 - scipy.stats.entropy([0.75, 0.25], base=3)  # three can be read
    assert readings["semantic_entropy"].confidence == pytest.approx(expected)


@pytest.mark.parametrize("method", SHARING)
def test_samples_that_all_agree_give_full_confidence(method):
    assert confidence(method, ["Paris"] * 5) == 1


@pytest.mark.parametrize("method", SHARING)
def test_samples_that_all_differ_from_each_other_and_the_answer_give_none(method):
    assert confidence(method, ["Lyon", "Nice", "Lille", "Metz"]) == pytest.approx(0)


@pytest.mark.parametrize("method", ["distinct_answers", "semantic_entropy"])
def test_unsureness_of_the_question_does_not_depend_on_the_answer(method):
    samples = ["Paris", "Lyon", "Paris"]
    assert confidence(method, samples, "Paris") == confidence(method, samples, "Nice")


@pytest.mark.parametrize("method", ["distinct_answers", "semantic_entropy"])
def test_comparing_samples_needs_at_least_two(method):
    with pytest.raises(ValueError, match=f"{method} need 'k' to be at least 2, but it is 1"):
        parse_settings("t", {"methods": [method], "k": 1})


def test_answers_that_share_most_words_mean_the_same():
    samples = ["New York City", "New York", "the city of New York", "York"]
    # Shared with the first: 2 of 3 words, 3 of 4 (articles do not count) and 1 of 3.
    assert confidence("semantic_clusters", samples, "new york") == 0.75
    assert confidence("sampling", samples, "new york") == 0.25


def test_multiple_choice_samples_mean_the_same_if_they_name_the_same_option():
    samples = ["A. Paris", "(A)", "B. Paris", "a"]
    for method in ("sampling", "semantic_clusters"):
        assert confidence(method, samples, "A", options="ABCD") == 0.75
    assert confidence("distinct_answers", samples, "A", options="ABCD") == pytest.approx(2 / 3)


@pytest.mark.parametrize("method", SHARING)
@pytest.mark.parametrize(
    "samples", [[""] * 4, [" \n"] * 4, ["The answer", "The answer is:", "", "Answer:"]]
)
def test_samples_that_say_nothing_agree_on_nothing(method, samples):
    readings, _ = ask([method], samples)
    assert readings[method].confidence is None
    assert readings[method].reason == "only 0 of 4 sampled answers say anything"


@pytest.mark.parametrize("method", ["sampling", "semantic_clusters"])
def test_an_answer_that_says_nothing_has_no_agreement(method):
    readings, _ = ask([method], ["", "Paris", "Paris"], answer="")
    assert readings[method].confidence is None
    assert readings[method].reason == "the answer says nothing"


def test_samples_that_say_nothing_count_neither_for_nor_against():
    samples = ["Paris", "Lyon", "", "Paris", "\n"]
    assert confidence("sampling", samples) == pytest.approx(2 / 3)
    assert confidence("distinct_answers", samples) == pytest.approx(1 - 1 / 2)
    expected = 1 - scipy.stats.entropy([2 / 3, 1 / 3], base=3)
    assert confidence("semantic_entropy", samples) == pytest.approx(expected)


OPTIONS = ["US", "United Kingdom", "New York", "New York City"]


def test_samples_of_options_in_words_are_compared_whole():
    samples = ["The US", "The United Kingdom", "New York", "New York City"]
    for method in ("distinct_answers", "semantic_entropy"):
        assert confidence(method, samples, "US", options=OPTIONS) == pytest.approx(0)
    assert confidence("sampling", samples, "New York", options=OPTIONS) == 0.25
    assert confidence("semantic_clusters", samples, "US", options=OPTIONS) == 0.25


def test_samples_that_name_no_option_are_not_agreement():
    for method in SHARING:
        samples = ["The", "Something else", "The Netherlands", "US"]
        readings, _ = ask([method], samples, "US", options=OPTIONS)
        assert readings[method].confidence is None
        assert readings[method].reason == "only 1 of 4 sampled answers name an option"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("the city of New York", "New York city", True),
        ("New York", "York", False),
        ("Battle of the Bulge in 1944", "Battle of the Bulge in 1945", False),
        ("a lack of Vitamin A in food", "a lack of Vitamin B in food", False),
        ("The US", "The United Kingdom", False),
        ("東京都", "京都", False),
        ("서울시", "서울", False),
        ("it is 5% of all", "it is 5 of all", False),
    ],
)
def test_texts_are_alike_by_their_words_but_not_against_what_tells_them_apart(one, other, expected):
    assert alike(one, other) is alike(other, one) is expected


def vote(conclusions, answer="Paris", options=None):
    """The reading of self-consistency, given the conclusion of each reasoning path."""
    question = make_question(answer, options)
    method = METHODS["self_consistency"](parse_settings("t", {"k": len(conclusions)}))
    paths, *votes = method.requests(question)
    paths.resps = [f" Path {i}. " for i in range(paths.repeats)]
    for i, (request, conclusion) in enumerate(zip(votes, conclusions, strict=True)):
        request.resps = [conclusion]
        assert f"Reasoning: Path {i}.\n\n" in request.args[0]
    return method.read(question, [paths, *votes])


def test_self_consistency_counts_the_votes_of_the_reasoning_paths():
    reading = vote([" Paris\n", " Lyon", "", " paris."])
    assert reading.confidence == pytest.approx(2 / 3)  # a path without a conclusion does not vote
    assert reading.extra["votes"] == ["Paris", "Lyon", "", "paris."]
    assert reading.extra["majority"] == "Paris"
    assert vote(["Lyon", "Nice"]).confidence == 0
    assert vote([" ", "\n"]).confidence is None
    assert vote([" ", "\n"]).reason == "only 0 of 2 conclusions say anything"
    assert vote(["Paris", "The answer", "The answer is:"]).confidence is None


def test_self_consistency_reads_the_option_of_multiple_choice():
    assert vote(["(A) Paris", "A", "B", "a."], "A", options="ABCD").confidence == 0.75


TEXTS = ["Paris", "paris.", "Lyon", "", "Paris, France", "東京"]
ANSWERS = st.lists(st.sampled_from(TEXTS), min_size=2)


@given(ANSWERS)
def test_every_method_on_samples_gives_a_confidence_from_0_to_1(samples):
    readings, _ = ask(SHARING, samples)
    said = sum(map(bool, samples))
    for name, reading in readings.items():
        at_least = 2 if name in ("distinct_answers", "semantic_entropy") else 1
        if said >= max(at_least, len(samples) / 2):
            assert 0 <= reading.confidence <= 1
        else:
            assert reading.confidence is None
            assert reading.reason == f"only {said} of {len(samples)} sampled answers say anything"


@given(ANSWERS)
def test_clusters_hold_every_sample_and_their_weights_sum_to_one(samples):
    assume(sum(map(bool, samples)) >= max(1, len(samples) / 2))
    readings, _ = ask(["semantic_clusters"], samples)
    clusters = readings["semantic_clusters"].extra["clusters"]
    texts = [text for cluster in clusters for text in cluster["texts"]]
    assert sorted(texts) == sorted(set(samples) - {""})
    assert math.fsum(cluster["weight"] for cluster in clusters) == pytest.approx(1)


@given(st.lists(st.integers(0, 30)), st.integers(1, 7))
def test_grouping_by_an_equivalence_gives_its_classes(numbers, modulus):
    clusters = group(numbers, lambda a, b: a % modulus == b % modulus)
    assert len(clusters) == len({number % modulus for number in numbers})
    assert all(len({number % modulus for number in cluster}) == 1 for cluster in clusters)


@given(st.lists(st.floats(0.01, 1), min_size=1))
def test_entropy_is_that_of_scipy(weights):
    masses = [weight / sum(weights) for weight in weights]
    assert entropy(masses) == pytest.approx(scipy.stats.entropy(masses), abs=1e-9)


def test_jaccard_is_the_share_of_common_words():
    assert jaccard("a b c", "b c d") == 0.5
    assert jaccard("a", "b") == 0
    assert jaccard("a b", "b a") == 1


def make_cross_encoder(folder, labels, likeliest):
    """A sequence classifier that always says `likeliest`."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "paris", "lyon"])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    )
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=4,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=32,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([float(label == likeliest) for label in labels]))
    model.save_pretrained(folder)
    return str(folder)


NLI = ["CONTRADICTION", "ENTAILMENT", "NEUTRAL"]


@pytest.mark.parametrize(("verdict", "expected"), [("ENTAILMENT", 1.0), ("NEUTRAL", 0.5)])
def test_a_cross_encoder_decides_what_means_the_same(tmp_path, verdict, expected):
    nli = make_cross_encoder(tmp_path, NLI, verdict)
    assert confidence("semantic_clusters", ["Paris", "The capital"], nli=nli) == expected


def test_meaning_the_same_takes_entailment_in_both_directions(tmp_path):
    nli = make_cross_encoder(tmp_path, NLI, "NEUTRAL")
    method = METHODS["semantic_clusters"](parse_settings("t", {"nli": nli}))
    method.entails = lambda premise, hypothesis: set(hypothesis.split()) <= set(premise.split())
    same = method._same(make_question(""))
    assert not same("big red barn", "red barn")
    assert same("red barn", "barn red")


def test_a_model_that_is_no_cross_encoder_is_refused_before_anything_is_asked(tmp_path):
    sentiment = make_cross_encoder(tmp_path / "sentiment", ["positive", "negative"], "positive")
    with pytest.raises(ValueError, match="labels positive, negative, and 'entailment' is not"):
        METHODS["semantic_entropy"](parse_settings("t", {"nli": sentiment}))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text(json.dumps({}))
    with pytest.raises(ValueError, match="cannot be loaded as a sequence classifier"):
        METHODS["semantic_entropy"](parse_settings("t", {"nli": str(tmp_path / "empty")}))
