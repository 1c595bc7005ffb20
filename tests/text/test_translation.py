"""BLEU, chrF, TER and ROUGE: hand-worked cases, published examples, and the defining packages."""

import doctest
import math

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from calib_metrics.text import rouge as rouge_module
from calib_metrics.text import translation
from calib_metrics.text.rouge import rouge
from calib_metrics.text.translation import (
    bleu,
    chrf,
    sentence_bleu,
    sentence_chrf,
    sentence_ter,
    ter,
)

PREDICTIONS = ["The cat sat on a mat.", "It rained the whole day in Paris, they say."]
REFERENCES = [["The cat sat on the mat."], ["It rained all day in Paris, they say."]]
SENTENCE = st.lists(st.sampled_from("the cat dog sat on a mat . police".split()), min_size=1).map(
    " ".join
)


# Hand-worked.


def test_bleu_of_a_text_cut_short_is_its_brevity_penalty():
    # All n-grams match; 5 words of 7: exp(1 - 7/5).
    found = bleu(["a b c d e"], [["a b c d e f g"]])
    assert found.score == pytest.approx(100 * math.exp(-0.4), abs=1e-9)


def test_identical_texts_are_perfect():
    references = [[text] for text in PREDICTIONS]
    assert bleu(PREDICTIONS, references).score == pytest.approx(100)
    assert chrf(PREDICTIONS, references).score == pytest.approx(100)
    assert ter(PREDICTIONS, references).score == 0
    assert rouge(PREDICTIONS, references) == dict.fromkeys(rouge_module.TYPES, 1.0)


@pytest.mark.parametrize(
    ("prediction", "edits"), [("a b d", 1), ("c d a b", 1), ("a b c d e f", 2), ("x b c d", 1)]
)
def test_ter_counts_deletions_shifts_insertions_and_substitutions(prediction, edits):
    assert ter([prediction], [["a b c d"]]).score == pytest.approx(100 * edits / 4)


def test_ter_may_exceed_100():
    assert sentence_ter("a b c d e f", ["z"]).score == pytest.approx(600)


def test_rouge_of_lins_example():
    # Lin 2004, section 3.1: ROUGE-L tells S2 from S3, ROUGE-2 does not.
    reference = ["police killed the gunman"]
    second, third = (
        rouge([text], [reference]) for text in ("police kill the gunman", "the gunman kill police")
    )
    assert (second["rougeL"], third["rougeL"]) == (pytest.approx(3 / 4), pytest.approx(2 / 4))
    assert second["rouge2"] == third["rouge2"] == pytest.approx(1 / 3)
    assert second["rouge1"] == third["rouge1"] == pytest.approx(3 / 4)


def test_stemmer_makes_inflections_agree():
    pair = ["police kills the gunmen"], [["police kill the gunmen"]]
    assert rouge(*pair)["rouge1"] == pytest.approx(3 / 4)
    assert rouge(*pair, stemmer=True)["rouge1"] == 1


def test_rouge_lsum_reads_newlines_as_sentence_ends():
    swapped = rouge(["c d\na b"], [["a b\nc d"]])
    assert swapped["rougeLsum"] == 1 and swapped["rougeL"] == pytest.approx(1 / 2)


def test_best_reference_counts_and_predictions_are_averaged():
    found = rouge(["the cat", "dog"], [["a house", "the cat"], ["cat"]])
    assert found["rouge1"] == pytest.approx(1 / 2)


# Against the defining packages.


@given(st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=5))
@settings(deadline=None, max_examples=30)
def test_corpus_scores_equal_sacrebleu(pairs):
    predictions, flat = map(list, zip(*pairs, strict=True))
    references = [[text] for text in flat]
    assert bleu(predictions, references).score == sacrebleu.corpus_bleu(predictions, [flat]).score
    assert chrf(predictions, references).score == sacrebleu.corpus_chrf(predictions, [flat]).score
    plus = sacrebleu.corpus_chrf(predictions, [flat], word_order=2).score
    assert chrf(predictions, references, word_order=2).score == plus
    assert ter(predictions, references).score == sacrebleu.corpus_ter(predictions, [flat]).score


@given(SENTENCE, st.lists(SENTENCE, min_size=1, max_size=3))
@settings(deadline=None, max_examples=30)
def test_sentence_scores_equal_sacrebleu(text, references):
    expected = sacrebleu.sentence_bleu(text, references).score
    assert sentence_bleu(text, references).score == expected
    assert sentence_chrf(text, references).score == sacrebleu.sentence_chrf(text, references).score
    assert sentence_ter(text, references).score == sacrebleu.sentence_ter(text, references).score


def test_options_reach_sacrebleu():
    predictions, references = ["THE CAT sat-on it"], [["the cat sat on it"]]
    metric = sacrebleu.BLEU(tokenize="char", lowercase=True)
    expected = metric.corpus_score(predictions, [["the cat sat on it"]]).score
    found = bleu(predictions, references, tokenize="char", lowercase=True)
    assert found.score == expected and "tok:char" in found.signature
    assert found.signature.startswith("nrefs:1|case:lc")
    assert ter(["THE CAT"], [["the cat"]]).score == 0
    assert ter(["THE CAT"], [["the cat"]], case_sensitive=True).score == 100
    assert chrf(["THE CAT"], [["the cat"]], lowercase=True).score == pytest.approx(100)


def test_signature_is_that_of_sacrebleu():
    metric = sacrebleu.BLEU()
    metric.corpus_score(PREDICTIONS, [[texts[0] for texts in REFERENCES]])
    assert bleu(PREDICTIONS, REFERENCES).signature == str(metric.get_signature())


def test_numbers_of_references_may_differ():
    references = [REFERENCES[0] * 2, REFERENCES[1]]
    found = bleu(PREDICTIONS, references)
    # A second copy of a reference adds nothing.
    assert found.score == pytest.approx(bleu(PREDICTIONS, REFERENCES).score)
    assert found.signature.startswith("nrefs:var|")
    assert ter(PREDICTIONS, references).score == ter(PREDICTIONS, REFERENCES).score


@given(SENTENCE, SENTENCE, st.booleans())
@settings(deadline=None, max_examples=30)
def test_rouge_equals_rouge_score(prediction, reference, stemmer):
    expected = RougeScorer(list(rouge_module.TYPES), use_stemmer=stemmer).score(
        reference, prediction
    )
    found = rouge([prediction], [[reference]], stemmer=stemmer)
    assert found == {name: score.fmeasure for name, score in expected.items()}


# Input.


@pytest.mark.parametrize("metric", [bleu, chrf, ter, rouge])
@pytest.mark.parametrize(
    ("predictions", "references", "words"),
    [
        ("a b", [["a b"]], "predictions is a single string"),
        (["a b"], ["a b"], r"references\[0\] is 'a b': give a list"),
        (["a", "b"], [["a"]], "2 entries and references has 1"),
        ([], [], "empty"),
        (["a", None], [["a"], ["b"]], r"predictions\[1\] is None"),
        (["a"], [[]], r"references\[0\] is empty"),
        (["a"], [[None]], r"references\[0\] is \[None\]"),
    ],
)
def test_malformed_texts_are_refused(metric, predictions, references, words):
    with pytest.raises(ValueError, match=words):
        metric(predictions, references)


def test_unknown_tokenizer_is_refused():
    with pytest.raises(ValueError, match="tokenize is '13b': choose one of 13a"):
        bleu(["a"], [["a"]], tokenize="13b")


@pytest.mark.parametrize("module", [translation, rouge_module])
def test_examples_in_docstrings_are_true(module):
    found = doctest.testmod(module)
    assert found.attempted and not found.failed
