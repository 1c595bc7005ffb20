"""The scores of a template's task, against other implementations and worked examples."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, precision_recall_fscore_support

from harness_tasks.templates import scores


def test_macro_scores_and_cross_entropy_are_scikit_learns():
    rng = np.random.default_rng(0)
    logs, gold = np.log(rng.dirichlet([1, 1, 1], size=60)), rng.integers(0, 3, 60)
    collected = [
        scores.classification({"gold": label}, [(value, False) for value in row])
        for label, row in zip(gold, logs, strict=True)
    ]
    expected = precision_recall_fscore_support(gold, logs.argmax(1), average="macro")
    for name, value in zip(("precision", "recall", "f1"), expected[:3], strict=True):
        assert getattr(scores, name)([c[name] for c in collected]) == pytest.approx(value)
    entropy = np.mean([c["cross_entropy"] for c in collected])
    assert entropy == pytest.approx(log_loss(gold, np.exp(logs)))
    assert np.mean([c["acc"] for c in collected]) == np.mean(logs.argmax(1) == gold)


def test_a_label_that_is_never_predicted_counts_zero():
    items = [(0, 0, 2), (0, 1, 2)]  # everything is called class 0
    assert scores.precision(items) == 0.25  # 1/2 for class 0, 0 for class 1
    assert scores.recall(items) == 0.5


def test_the_standard_error_of_bleu_is_that_of_resampled_corpora():
    from sacrebleu.metrics import BLEU

    words = "the cat sat on a red mat near old trees".split()
    rng = np.random.default_rng(1)
    items = []
    for _ in range(30):
        reference = list(rng.choice(words, 12))
        answer = [word if rng.random() < 0.7 else "dog" for word in reference]
        items.append((" ".join(answer), [" ".join(reference)]))
    again = []
    for _ in range(100):
        chosen = [items[i] for i in rng.integers(0, len(items), len(items))]
        answers, references = zip(*((answer, refs[0]) for answer, refs in chosen), strict=True)
        again.append(BLEU().corpus_score(answers, [references]).score)
    assert scores.bleu_stderr(items) == pytest.approx(np.std(again), rel=0.25)


def test_text_scores_of_a_worked_example():
    found = scores.text_scores("the big cat\n", ["A big dog", "cat"], scores.TEXT_METRICS)
    assert found["exact_match"] == 0
    assert found["f1"] == pytest.approx(2 / 3)  # "big cat" against "cat": P = 1/2, R = 1
    assert found["rouge1"] == pytest.approx(0.5)  # against "cat": P = 1/3, R = 1
    assert found["bleu"] == ("the big cat", ["A big dog", "cat"])


def test_lsum_compares_sentences_and_does_not_mind_their_order():
    said, reference = "It rained. The dog slept.", "The dog slept. It rained."
    found = scores.text_scores(said, [reference], ("rougeL", "rougeLsum"))
    assert found["rougeLsum"] == 1 and found["rougeL"] < 1


def test_chinese_answers_are_scored_and_the_log_says_how(caplog):
    text = "北京是中国的首都，有两千万人口。"
    items = [(text, [text]), ("上海不是首都，也有很多人。", [text])]
    assert 0 < scores.bleu(items) < 100
    assert "tok:zh" in caplog.text
    assert scores.bleu_stderr(items) > 0
    assert scores.text_scores(text, [text])["rougeLsum"] == 1
