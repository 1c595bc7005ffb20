"""BLEU, chrF, TER and ROUGE: hand-worked cases, published examples, and the defining packages."""

import doctest
import math

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from calib_metrics.text import rouge as rouge_module
from calib_metrics.text import scripts, translation
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


# Scripts: identical texts are perfect, and what was done is said.

SAME = {
    "chinese": ("北京是中国的首都，有两千万人口。", "zh"),
    "japanese": ("東京は日本の首都であり、とても大きいです。", "char"),
    "thai": ("กรุงเทพเป็นเมืองหลวงของไทย", "char"),
    "russian": ("Москва — столица России, очень большой город.", "13a"),
    "hindi": ("नई दिल्ली भारत की राजधानी है और बड़ा शहर है", "13a"),
    "korean": ("서울은 대한민국의 수도이며 아주 큰 도시이다", "13a"),
    "arabic": ("القاهرة هي عاصمة مصر وهي مدينة كبيرة", "13a"),
    "english": ("Paris is the capital of France, they say.", "13a"),
}


@pytest.mark.parametrize("language", SAME)
def test_identical_texts_of_any_script_are_perfect(language):
    text, tokenizer = SAME[language]
    found = bleu([text], [[text]])
    assert found.score == pytest.approx(100) and f"|tok:{tokenizer}|" in found.signature
    assert sentence_bleu(text, [text]).score == pytest.approx(100)
    assert rouge([text], [[text]]) == dict.fromkeys(rouge_module.TYPES, 1.0)


def test_chinese_is_scored_as_sacrebleu_scores_it_when_told():
    said, reference = "北京是中国的首都，人口很多。", "北京是中国的首都，有两千万人口。"
    expected = sacrebleu.corpus_bleu([said], [[reference]], tokenize="zh").score
    assert bleu([said], [[reference]]).score == pytest.approx(expected) != 0


def test_rouge_of_russian_and_chinese_by_hand():
    # Three of the four words agree, in order; two of the three word pairs.
    found = rouge(["мама мыла белую раму"], [["мама мыла старую раму"]])
    assert found["rouge1"] == found["rougeL"] == pytest.approx(3 / 4)
    assert found["rouge2"] == pytest.approx(1 / 3)  # "мама мыла"
    # Of four letters each three agree.
    assert rouge(["我爱北京"], [["我在北京"]])["rouge1"] == pytest.approx(3 / 4)


def test_vowel_signs_are_parts_of_their_words():
    assert scripts.words("नई दिल्ली") == ["नई", "दिल्ली"]
    assert scripts.words("GPT-4 は2023年") == ["gpt", "4", "は", "2023", "年"]


def test_text_in_latin_letters_is_scored_by_rouge_score_as_ever():
    prediction, reference = "Le café était fermé", "Le café est fermé"
    scorer = RougeScorer(["rouge1", "rougeL"])
    expected = scorer.score(reference, prediction)["rouge1"].fmeasure
    assert rouge([prediction], [[reference]])["rouge1"] == pytest.approx(expected)


def test_the_signature_of_rouge_says_how_words_were_found():
    version = rouge_module.metadata.version("rouge_score")
    cyrillic, latin = [SAME["russian"][0]], ["a cat"]
    assert rouge_module.signature([latin]) == f"rouge|tok:default|stem:no|version:{version}"
    both = rouge_module.signature([latin, cyrillic], stemmer=True)
    assert both == f"rouge|tok:default+unicode|stem:porter|version:{version}"


def test_a_zero_that_no_answer_could_avoid_is_warned_of():
    with pytest.warns(UserWarning, match="BLEU is 0 whatever the answers say.*tok:13a"):
        assert bleu(["yes it is"], [["yes it is"]]).score == 0
    with pytest.warns(UserWarning, match="ROUGE is 0 whatever the answer says.*has no word"):
        rouge(["?!"], [["?!"]])


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("It rained. The dog slept!  Why?", ["It rained.", "The dog slept!", "Why?"]),
        ("下雨了。狗睡了！", ["下雨了。", "狗睡了！"]),
        ("Version 2.0 is out", ["Version 2.0 is out"]),
    ],
)
def test_sentences_are_split_after_their_ends(text, lines):
    assert rouge_module.split_sentences(text).split("\n") == lines


def test_the_first_of_references_that_are_equally_near_counts():
    # What the docstring of chrf says of sacreBLEU: other n-gram counts, so another corpus score.
    first, second = ["ab", "abab"], ["abab", "ab"]
    scores = {chrf(["aba", "xyz"], [texts, ["xyw"]]).score for texts in (first, second)}
    assert all(0 < each < 100 for each in scores)
