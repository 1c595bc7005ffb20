"""Calibration tuning with a head: probe and LoRA, and the wordings of the query."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from safetensors.torch import load_file
from sklearn.metrics import log_loss
from transformers import AutoTokenizer, LlamaForCausalLM, TrainerCallback

from calib_adapters import tune as frame
from calib_adapters.calibration.encode import encode_rows
from calib_adapters.calibration.head import (
    CorrectnessHead,
    all_end_states,
    encode_answers,
    load_head,
    save_head,
)
from calib_adapters.calibration.objective import collate, log_odds, query_loss
from calib_adapters.calibration.rows import balanced, load_graded_rows
from calib_adapters.data.grade import grade, load_graded
from calib_adapters.serving.model import CalibHFLM
from calib_adapters.training.base_model import add_lora, load_base
from calib_adapters.training.job import TrainingContext
from calib_adapters.training.recipe import load_recipe
from calib_adapters.training.schema import Lora
from calib_adapters.tune import tune
from helpers.adapters_common import FAST
from helpers.task_runs import write_samples
from helpers.transparent_model import TASKS, Transparent

PROBE, LORA = "calibration_tuning_probe", "calibration_tuning_lora"
CHANGES = {
    PROBE: ("dtype=float32", "optimiser.batch_size=8", "optimiser.learning_rate=1e-3"),
    LORA: (*FAST, "optimiser.learning_rate=1e-3"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny, graded):
    folder = tmp_path_factory.mktemp("trained")
    return {name: tune(name, tiny, graded, folder / name, CHANGES[name]) for name in CHANGES}


def whole_states(model, tokenizer, rows):
    """By transformers, row by row: the last layer's hidden state at the last token."""
    states = []
    for row in rows:
        ids = tokenizer(row["context"] + row["answer_text"], return_tensors="pt").input_ids
        with torch.no_grad():
            states.append(model(ids, output_hidden_states=True).hidden_states[-1][0, -1])
    return torch.stack(states)


def test_the_head_is_the_papers_network():
    torch.manual_seed(0)
    head = CorrectnessHead(48, (256, 128, 64))
    weights = {name: w.detach().numpy() for name, w in head.state_dict().items()}
    shapes = [w.shape for w in weights.values()]
    assert shapes == [(256, 48), (256,), (128, 256), (128,), (64, 128), (64,), (2, 64), (2,)]
    x = np.random.default_rng(0).normal(size=(5, 48)).astype(np.float32)
    values = x
    for i in (0, 2, 4, 6):
        values = values @ weights[f"layers.{i}.weight"].T + weights[f"layers.{i}.bias"]
        values = np.maximum(values, 0) if i < 6 else values
    odds = head(torch.tensor(x))
    np.testing.assert_allclose(odds.detach(), values[:, 1] - values[:, 0], rtol=1e-4, atol=1e-5)
    # Glorot & Bengio 2010, eq. 16: uniform within sqrt(6 / (inputs + outputs)).
    for i in (0, 2, 4, 6):
        bound = math.sqrt(6 / sum(weights[f"layers.{i}.weight"].shape))
        assert 0.9 * bound < np.abs(weights[f"layers.{i}.weight"]).max() <= bound
    label = torch.tensor([1.0, 0, 0, 1, 1])
    two_way = torch.nn.functional.cross_entropy(torch.tensor(values), label.long())
    torch.testing.assert_close(query_loss(odds, label), two_way, rtol=1e-4, atol=1e-5)


def test_the_states_are_those_at_the_last_token_of_the_answer(tiny, graded):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    rows = load_graded(graded)[0]["validation"]
    model = LlamaForCausalLM.from_pretrained(tiny).eval()
    encoded = encode_answers(rows, tokenizer).to_list()
    assert len({row["length"] for row in encoded}) > 1
    found = all_end_states(model, encoded, pad=2, size=8)
    torch.testing.assert_close(found, whole_states(model, tokenizer, rows), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("recipe", [PROBE, LORA])
def test_the_head_learned_what_tells_right_from_wrong(trained, recipe):
    calibration = json.loads((trained[recipe] / "calibration.json").read_text())
    nlls = [epoch["eval_nll"] for epoch in calibration["epochs"]]
    assert min(nlls) < math.log(2)  # that of always saying one half
    assert calibration["validation"]["nll"]["value"] == pytest.approx(min(nlls), abs=1e-4)
    assert "conf:probe" in calibration["validation"]["nll"]["signature"]


@pytest.mark.parametrize("recipe", [PROBE, LORA])
def test_the_trained_confidence_is_the_one_that_the_back_end_serves(tiny, graded, trained, recipe):
    rows = load_graded(graded)[0]["validation"]
    lm = CalibHFLM(tiny, probe=str(trained[recipe]), device="cpu", dtype="float32", batch_size=4)
    requests = [
        Instance("probe", row, (row["context"], row["answer_text"]), i)
        for i, row in enumerate(rows)
    ]
    confidence = 1 / (1 + np.exp(-np.array(lm.correctness(requests))))
    calibration = json.loads((trained[recipe] / "calibration.json").read_text())
    expected = calibration["validation"]["nll"]["value"]
    assert log_loss(rows["correct"], confidence) == pytest.approx(expected, abs=1e-4)


def test_the_probe_is_one_file_of_weights_for_an_unchanged_model(trained):
    weights = load_file(trained[PROBE] / "head.safetensors")
    assert {name.partition(".")[0] for name in weights} == {"layers"}
    assert not (trained[PROBE] / "adapter_config.json").exists()


def test_lora_is_an_ordinary_adapter_beside_a_head(tiny, trained):
    from peft import PeftModel

    folder = trained[LORA]
    adapter = load_file(folder / "adapter_model.safetensors")
    assert all(".lora_A." in name or ".lora_B." in name for name in adapter)
    assert any(w.abs().max() > 0 for name, w in adapter.items() if ".lora_B." in name)
    assert json.loads((folder / "adapter_config.json").read_text())["modules_to_save"] is None
    head, base = load_head(folder)
    assert base == tiny.rsplit("/", 1)[-1]
    # By hand: PEFT's model, transformers' hidden state, the head.
    model = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(tiny), folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    rows = [{"context": "Question: Capital of Land 3?\nAnswer:", "answer_text": " pale blue"}]
    with torch.no_grad():
        expected = head(whole_states(model, tokenizer, rows))
    lm = CalibHFLM(tiny, probe=str(folder), device="cpu", dtype="float32")
    request = Instance("probe", {}, (rows[0]["context"], rows[0]["answer_text"]), 0)
    assert lm.correctness([request]) == pytest.approx(expected.tolist(), rel=1e-4, abs=1e-5)


class Interrupt(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.epoch > 1.2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("recipe", [PROBE, LORA])
def test_an_interrupted_run_continues_to_the_same_weights(
    tmp_path, monkeypatch, tiny, graded, trained, recipe
):
    method = load_recipe(recipe).method
    make = frame.METHODS[method]

    def interrupted(context):
        job = make(context)
        job.__dict__["callbacks"] = (*job.callbacks, Interrupt())
        return job

    monkeypatch.setitem(frame.METHODS, method, interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune(recipe, tiny, graded, tmp_path / "out", CHANGES[recipe])
    monkeypatch.undo()
    assert not (tmp_path / "out").exists()
    (checkpoint,) = tmp_path.glob(".out.*/checkpoint-*")
    largest = max(file.stat().st_size for file in checkpoint.glob("*.safetensors"))
    assert largest < (np.prod((49152, 32)) * 4) / 2  # the base, mostly its embeddings, is not in it
    tune(recipe, tiny, graded, tmp_path / "out", CHANGES[recipe])
    assert json.loads((tmp_path / "out" / "training.json").read_text())["resumed"]
    for file in trained[recipe].glob("*.safetensors"):
        resumed = load_file(tmp_path / "out" / file.name)
        for name, weight in load_file(file).items():
            torch.testing.assert_close(resumed[name], weight, rtol=0, atol=1e-6)


def test_a_fraction_of_the_data_is_the_beginning_of_one_order_that_the_seed_draws(tiny, graded):
    def ids(*overrides):
        context = TrainingContext(
            load_recipe(PROBE, overrides), tiny, graded, graded, torch.device("cpu")
        )
        return list(load_graded_rows(context).train["id"])

    whole = ids()
    assert ids("data.fraction=0.25") == whole[:10]
    assert ids("data.max_train=20") == whole[:20]
    assert ids("seed=1") != whole and sorted(ids("seed=1")) == sorted(whole)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1)), max_size=30))
def test_balanced_answers_are_the_first_of_each_task_half_of_them_correct(answers):
    tasks, correct = [task for task, _ in answers], [label for _, label in answers]
    chosen = balanced(tasks, correct)
    assert chosen == sorted(chosen)
    for task in "abc":
        of_task = {
            label: [i for i, one in enumerate(answers) if one == (task, label)] for label in (0, 1)
        }
        size = min(map(len, of_task.values()))
        mine = [i for i in chosen if tasks[i] == task]
        assert mine == sorted(of_task[0][:size] + of_task[1][:size])


def test_training_on_balanced_answers_uses_no_others(tiny, graded, trained, tmp_path):
    folder = tune(PROBE, tiny, graded, tmp_path / "out", (*CHANGES[PROBE], "data.balance=true"))
    labels = load_graded(graded)[0]["train"]["correct"]
    expected = 2 * min(labels.count(0), labels.count(1))
    assert expected < len(labels)
    used = [json.loads((one / "training.json").read_text()) for one in (folder, trained[PROBE])]
    assert [each["data"]["train"] for each in used] == [expected, len(labels)]


def test_a_card_says_which_epochs_weights_it_is_about(tmp_path, tiny, graded, trained):
    last = tune(
        PROBE,
        tiny,
        graded,
        tmp_path / "out",
        (*CHANGES[PROBE], "optimiser.epochs=2", "evaluation.keep=last"),
    )
    assert json.loads((last / "training.json").read_text())["kept_step"] == 10
    text = (last / "README.md").read_text()
    assert "The last of 2 epochs, on 20 rows" in text and "chose the epoch" not in text
    text = (trained[PROBE] / "README.md").read_text()
    assert "The best of 10 epochs by negative log-likelihood, on 20 rows" in text
    assert "These numbers chose the epoch, so they are optimistic" in text


def test_the_head_of_another_shape_is_read_from_its_file(tmp_path):
    torch.manual_seed(0)
    head = CorrectnessHead(8, (4,))
    save_head(head.state_dict(), "models/Base", tmp_path)
    found, base = load_head(tmp_path)
    x = torch.randn(3, 8)
    torch.testing.assert_close(found(x), head(x))
    assert base == "models/Base"
    with pytest.raises(FileNotFoundError, match="calibench tune"):
        load_head(tmp_path / "nothing")


def test_replies_of_several_tokens_are_trained_as_lm_eval_scores_them(tiny, graded):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    rows = load_graded(graded)[0]["train"].select(range(6))
    rows = rows.map(lambda row: {"yes": " (ii)", "no": " (i)"})
    lm = HFLM(pretrained=tiny, device="cpu", dtype="float32", batch_size=4)
    scored = {
        reply: [
            x[0]
            for x in lm.loglikelihood(
                [
                    Instance("loglikelihood", row, (row["query"], row[reply]), i)
                    for i, row in enumerate(rows)
                ]
            )
        ]
        for reply in ("yes", "no")
    }
    model = add_lora(load_base(tiny, "float32", torch.device("cpu")), Lora(), tiny).eval()
    encoded = encode_rows(rows, tokenizer)
    assert tokenizer.decode(encoded[0]["yes_tail"]) == ")"
    with torch.no_grad():
        odds = log_odds(model, collate(encoded.to_list(), pad=2))
    np.testing.assert_allclose(odds, np.subtract(scored["yes"], scored["no"]), atol=1e-4)


def test_grading_by_f1_and_the_wording_reach_the_trained_rows(tmp_path):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    metadata = {
        "methods": ["zero_shot_classifier"],
        "wording": "roman_choice",
        "split": "train",
        "grading": "f1",
    }
    manager = TaskManager(include_path=str(TASKS), include_defaults=False, metadata=metadata)
    results = simple_evaluate(
        model=Transparent(lambda prompt: " Paris, of course"),
        tasks=["calib_worldfacts"],
        task_manager=manager,
        limit=40,
        bootstrap_iters=0,
    )
    file = write_samples(results, "calib_worldfacts", tmp_path)
    rows = grade([file], tmp_path / "graded")["train"]
    golds = {
        row["doc"]["id"]: row["doc"]["answers"] for row in results["samples"]["calib_worldfacts"]
    }
    # "paris of course" and "paris" share one word of three: F1 = 2·(1/3)·1/(1/3 + 1) = 0.5.
    expected = [int("Paris" in golds[row["id"]]) for row in rows]
    assert rows["correct"] == expected
    assert {(row["yes"], row["no"]) for row in rows} == {(" (ii)", " (i)")}
    assert rows[0]["query"].endswith("Choices:\n(i): no\n(ii): yes\nAnswer:")
