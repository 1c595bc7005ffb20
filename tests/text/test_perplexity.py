"""The perplexity tasks beside lm-eval's rolling task, and their standard errors."""

import math

import numpy as np
import pytest
import yaml

from calib_metrics.text.perplexity import token_perplexity, word_perplexity
from harness_tasks.text_metrics import bits_stderr, perplexity_stderr
from helpers.transparent_model import Transparent, evaluate, on_rows

TEXTS = ["One short text.", "Ein längerer Text mit ü und\nzwei Zeilen.", "third"]


def test_perplexity_equals_lm_evals_own_rolling_task_and_adds_tokens(tmp_path):
    rows = {"test": [{"document": text} for text in TEXTS]}
    folder = on_rows(tmp_path, "perplexity/calib_perplexity_xsum.yaml", rows)
    scores, samples = evaluate("mini", Transparent(), folder)
    stock = {
        "task": "stock",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "test.jsonl")}},
        "output_type": "loglikelihood_rolling",
        "test_split": "test",
        "doc_to_text": "",
        "doc_to_target": "{{document}}",
        "metric_list": [
            {"metric": name} for name in ("word_perplexity", "byte_perplexity", "bits_per_byte")
        ],
    }
    (folder / "stock.yaml").write_text(yaml.safe_dump(stock))
    expected, _ = evaluate("stock", Transparent(), folder)
    for name in ("word_perplexity", "byte_perplexity", "bits_per_byte"):
        assert scores[f"{name},none"] == expected[f"{name},none"]
    logprobs = [row["resps"][0][0][0] for row in samples]
    assert scores["word_perplexity,none"] == word_perplexity(logprobs, TEXTS)
    tokens = [len(text.split()) for text in TEXTS]
    assert scores["token_perplexity,none"] == token_perplexity(logprobs, tokens)


def test_standard_error_of_a_perplexity_over_texts_of_equal_length():
    # Then the log-perplexity is a plain mean of -log p / 10.
    logprobs = np.array([-20.0, -26.0, -17.0, -31.0, -24.0])
    error = np.std(logprobs / 10, ddof=1) / math.sqrt(5)
    items = [(value, 10) for value in logprobs]
    assert perplexity_stderr(items) == pytest.approx(math.exp(2.36) * error)
    assert bits_stderr(items) == pytest.approx(error / math.log(2))


def test_standard_error_of_a_perplexity_is_near_the_bootstraps():
    rng = np.random.default_rng(0)
    tokens = rng.integers(50, 400, size=400)
    logprobs = -tokens * rng.normal(3, 0.4, size=400)
    picks = rng.integers(0, 400, size=(2000, 400))
    again = np.exp(-logprobs[picks].sum(1) / tokens[picks].sum(1))
    assert perplexity_stderr(list(zip(logprobs, tokens, strict=True))) == pytest.approx(
        again.std(), rel=0.1
    )
