"""Stated confidence: the losses, the tree of numbers, training, what the model then says."""

import json

import numpy as np
import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from safetensors.torch import load_file
from transformers import AutoTokenizer

import calib_adapters.calibration.lower as lower
from calib_adapters.calibration.numbers import collate_numbers, number_logprobs, tree
from calib_adapters.calibration.stated_loss import (
    binned_accuracy,
    mean_log_odds,
    nearest,
    spread_nll,
    target_nll,
    tokenised_brier,
)
from calib_adapters.data.grade import grade, load_graded
from calib_adapters.serving.model import CalibHFLM
from calib_adapters.tune import tune
from helpers.adapters_common import FAST, RECIPE
from helpers.graded_runs import stated_record, write_run
from helpers.processes import tune_and_be_killed

STATED, BINNED = "stated_confidence", "stated_confidence_binned"
QUICK = (*FAST, "optimiser.learning_rate=1e-2")
PERCENTS = range(0, 101, 10)
GRID = torch.tensor(PERCENTS) / 100


@pytest.fixture(scope="module")
def stated(tmp_path_factory):
    """As `graded`, asked for a percentage; five samples in six agree with a right answer."""
    folder, rng, rows = tmp_path_factory.mktemp("stated"), np.random.default_rng(0), []
    for i in range(60):
        correct = int(rng.random() < 0.5)
        answer = str(rng.choice(["red", "green", "blue"] if correct else ["iron", "tin", "lead"]))
        shared = {"split": "train" if i < 40 else "validation", "answer": answer}
        shared["correct"] = correct
        rows.append(stated_record(f"Land {i}", **shared))
        agree = (correct if i % 6 else 1 - correct) * 0.7 + 0.1
        rows.append(stated_record(f"Land {i}", "sampling", agree, **shared))
    grade([write_run(folder / "run", rows, model="tiny")], folder / "graded", "verbalized")
    return folder / "graded"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, tiny, stated):
    return tune(STATED, tiny, stated, tmp_path_factory.mktemp("out") / "adapter", QUICK)


@pytest.fixture(scope="module")
def binned(tmp_path_factory, tiny, stated):
    """Supervised on the accuracy in two bins."""
    output = tmp_path_factory.mktemp("binned") / "adapter"
    return tune(BINNED, tiny, stated, output, (*QUICK, "objective.bins=2"))


# ------------------------------------------------------------------------------------- the losses


def test_the_tokenised_brier_score_is_the_one_worked_by_hand():
    logprobs = torch.tensor([[0.2, 0.3, 0.5]]).log() - 4  # most of what is said is no number
    values = torch.tensor([0.0, 0.5, 1.0])
    right = tokenised_brier(logprobs, values, torch.tensor([1.0]))
    wrong = tokenised_brier(logprobs, values, torch.tensor([0.0]))
    assert right.item() == pytest.approx(0.2 * 1 + 0.3 * 0.25)
    assert wrong.item() == pytest.approx(0.3 * 0.25 + 0.5 * 1)
    spread = 4 - np.log([0.2, 0.3, 0.5]).mean()
    assert spread_nll(logprobs).item() == pytest.approx(spread)
    assert target_nll(logprobs, torch.tensor([1])).item() == pytest.approx(4 - np.log(0.3))
    mean = 0.3 * 0.5 + 0.5
    assert mean_log_odds(logprobs, values).item() == pytest.approx(np.log(mean / (1 - mean)))


@pytest.mark.parametrize("correct", [0.0, 1.0])
def test_its_gradient_moves_mass_to_the_numbers_nearer_to_the_grade(correct):
    torch.manual_seed(0)
    logits = torch.randn(1, 11, requires_grad=True)
    tokenised_brier(logits, GRID, torch.tensor([correct])).sum().backward()
    p, costs = logits.detach().softmax(-1)[0], (GRID - correct) ** 2
    expected = p * (costs - (p * costs).sum())  # of a softmax
    torch.testing.assert_close(logits.grad[0], expected, rtol=1e-4, atol=1e-6)
    best = 10 if correct else 0
    assert logits.grad[0, best] < 0 < logits.grad[0, 10 - best]


@pytest.mark.parametrize("weight", [0, 0.1])
@pytest.mark.parametrize("right", [0, 3, 6, 10])
def test_what_minimises_it_says_the_share_of_right_answers(right, weight):
    labels = torch.tensor([1.0] * right + [0.0] * (10 - right))
    logits = torch.zeros(1, 11, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.3)
    for _ in range(1000):
        optimiser.zero_grad()
        logprobs = logits.log_softmax(-1).expand(10, 11)
        loss = tokenised_brier(logprobs, GRID, labels) + weight * spread_nll(logprobs)
        loss.mean().backward()
        optimiser.step()
    p = logits.detach().softmax(-1)[0]
    assert p.argmax() == right
    if weight:  # a_i - m of its docstring is the same multiple of 1 / p_i for every number
        costs = ((GRID[:, None] - labels) ** 2).mean(1)
        apart = weight / 11 / p - costs
        assert (apart.max() - apart.min()).item() < 1e-3
    else:
        assert p[right] > 0.9


def test_targets_are_the_accuracy_of_answers_with_about_the_same_signal():
    signal = np.array([0.1, 0.1, 0.1, 0.5, 0.5, 0.9, 0.9, 0.9, 0.9])
    correct = np.array([0, 0, 1, 1, 0, 1, 1, 1, 0])
    shares = binned_accuracy(signal, correct, bins=3)
    np.testing.assert_allclose(shares, [1 / 3] * 3 + [1 / 2] * 2 + [3 / 4] * 4)
    assert nearest(shares, GRID) == [3] * 3 + [5] * 2 + [7] * 4
    # With as many bins as one likes, equal signals stay together.
    np.testing.assert_allclose(binned_accuracy(signal, correct, bins=9), shares)


# ------------------------------------------------------------------------------ the tree of numbers


def test_numbers_that_begin_alike_share_their_tokens():
    one, nought, percent = 1, 0, 9
    numbers = tree([0, 0.1, 1], [[0, 9], [1, 0, 9], [1, 0, 0, 9]])
    assert sorted(zip(numbers.tokens.tolist(), numbers.depths.tolist(), strict=True)) == [
        (nought, 1), (nought, 2), (nought, 3), (one, 1),
    ]  # fmt: skip
    assert numbers.paths.sum(1).tolist() == [2, 3, 4]
    assert len(numbers.scored) == 7 and numbers.scored.tolist().count(percent) == 3


@pytest.mark.parametrize("replies", [[[1], [1, 0]], [[1, 0], [1, 0]], [[], [1]]])
def test_numbers_that_cannot_be_told_apart_are_refused(replies):
    with pytest.raises(ValueError, match="cannot be told apart"):
        tree([0.1, 1], replies)


@pytest.mark.parametrize("peft", [False, True])
def test_each_number_has_the_probability_that_lm_eval_gives_it(tiny, stated, adapters, peft):
    rows = load_graded(stated)[0]["train"].select(range(5))
    lm = HFLM(tiny, peft=adapters[0] if peft else None, device="cpu", dtype="float32", batch_size=4)
    replies = [rows[0]["reply_form"].format(n) for n in PERCENTS]
    scored = [
        lm.loglikelihood([Instance("loglikelihood", {}, (row["query"], r), 0) for r in replies])
        for row in rows
    ]
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    queries = [tokenizer(row["query"]).input_ids for row in rows]
    written = [
        tokenizer(rows[0]["query"] + reply).input_ids[len(queries[0]) :] for reply in replies
    ]
    assert len({len(ids) for ids in written}) > 1  # digit by digit: 0%, 10% and 100%
    numbers = tree(GRID.tolist(), written)
    with torch.no_grad():
        found = number_logprobs(lm.model, collate_numbers(queries, numbers, pad=2), numbers)
    expected = [[logprob for logprob, _ in each] for each in scored]
    np.testing.assert_allclose(found, expected, atol=1e-4)


# ---------------------------------------------------------------------------------------- training


def scores(tiny, adapter, rows, end="\n"):
    """By lm-eval: log P(number and end) under the adapter, or the base; (rows, numbers)."""
    peft = str(adapter) if adapter else None
    lm = HFLM(tiny, peft=peft, device="cpu", dtype="float32", batch_size=4)
    pairs = [(row["query"], row["reply_form"].format(n) + end) for row in rows for n in PERCENTS]
    scored = lm.loglikelihood([Instance("loglikelihood", {}, pair, 0) for pair in pairs])
    return np.reshape([logprob for logprob, _ in scored], (-1, len(PERCENTS)))


def test_the_scores_are_those_of_what_lm_eval_finds_likeliest(tiny, stated, adapter):
    rows = load_graded(stated)[0]["validation"]
    said = scores(tiny, adapter, rows).argmax(1) / 10
    found = json.loads((adapter / "calibration.json").read_text())
    brier = np.mean((said - rows["correct"]) ** 2)
    assert found["validation"]["brier"]["value"] == pytest.approx(brier)
    assert found["temperature"] is None
    first, *_, last = found["epochs"]
    assert last["eval_nll"] < first["eval_nll"]


def test_the_card_says_what_was_learned_and_how_to_ask(adapter):
    card = (adapter / "README.md").read_text()
    assert "tokenised Brier score" in card and '"methods": ["verbalized"]' in card
    assert "`calib_x` by `format:percent`" in card and "Temperature" not in card


def test_supervised_on_bins_it_says_their_accuracy(tiny, stated, binned):
    rows = load_graded(stated)[0]["train"]
    high, right = np.array(rows["sampling"]) > 0.5, np.array(rows["correct"])
    target = np.where(high, right[high].mean(), right[~high].mean())
    places = (10 * target).round().astype(int)
    before, after = (scores(tiny, each, rows)[range(len(rows)), places] for each in (None, binned))
    assert (after > before + 1).all()
    assert "as many of the model's own samples" in (binned / "README.md").read_text()


def test_it_stops_behind_the_number(tiny, stated, binned):
    rows = load_graded(stated)[0]["validation"].select(range(5))
    before, after = (
        scores(tiny, each, rows) - scores(tiny, each, rows, end="") for each in (None, binned)
    )
    assert (after > before + 2).all()


def test_layers_that_run_only_once_give_the_same_adapter(tmp_path, tiny, stated, monkeypatch):
    changes = ("dtype=float32", "lora.first_layer=1", "optimiser.epochs=1")
    once = tune(STATED, tiny, stated, tmp_path / "once", changes)
    monkeypatch.setattr(lower, "MOST", 0)
    every = tune(STATED, tiny, stated, tmp_path / "every", changes)
    weights = load_file(every / "adapter_model.safetensors")
    for name, weight in load_file(once / "adapter_model.safetensors").items():
        torch.testing.assert_close(weight, weights[name], rtol=0, atol=1e-5)


def test_a_killed_run_continues_to_the_same_bytes(tmp_path, tiny, stated):
    changes = (*FAST, "optimiser.epochs=2")
    whole = tune(STATED, tiny, stated, tmp_path / "whole", changes)
    tune_and_be_killed(STATED, tiny, stated, tmp_path / "resumed", changes)
    resumed = tune(STATED, tiny, stated, tmp_path / "resumed", changes)
    assert json.loads((resumed / "training.json").read_text())["resumed"]
    weights = load_file(whole / "adapter_model.safetensors")
    for name, weight in load_file(resumed / "adapter_model.safetensors").items():
        assert torch.equal(weight, weights[name])


# ----------------------------------------------------------------------------------------- refusals


def test_graded_answers_of_another_question_are_refused(tmp_path, tiny, graded, stated):
    with pytest.raises(ValueError, match="calibench grade --method verbalized"):
        tune(STATED, tiny, graded, tmp_path / "a", FAST)
    with pytest.raises(ValueError, match="calibench grade --method zero_shot_classifier"):
        tune(RECIPE, tiny, stated, tmp_path / "a", FAST)
    with pytest.raises(ValueError, match=r'"methods": \["verbalized", "likelihood"\]'):
        tune(BINNED, tiny, stated, tmp_path / "a", (*FAST, "objective.target=likelihood"))
    with pytest.raises(ValueError, match="must divide 100"):
        tune(STATED, tiny, stated, tmp_path / "a", (*FAST, "objective.step=30"))


def test_it_is_no_confidence_adapter(tiny, adapter):
    with pytest.raises(ValueError, match="learned which percentage to say"):
        CalibHFLM(tiny, confidence_adapter=str(adapter), device="cpu", dtype="float32")


def test_a_log_without_the_prompts_is_refused_and_signals_are_kept(tmp_path):
    rows = [stated_record("France"), stated_record("Spain", correct=0)]
    rows.append(stated_record("France", "likelihood", 0.25))
    rows.append(stated_record("Spain", "likelihood", None, correct=0))
    kept = grade([write_run(tmp_path / "run", rows)], tmp_path / "graded", "verbalized")["train"]
    assert dict(zip(kept["id"], kept["likelihood"], strict=True)) == {
        "capital:France": 0.25, "capital:Spain": None,
    }  # fmt: skip
    assert "sampling" not in kept.column_names
    del rows[0]["reply_form"]
    with pytest.raises(ValueError, match="run the evaluation again"):
        grade([write_run(tmp_path / "old", rows)], tmp_path / "b", "verbalized")
