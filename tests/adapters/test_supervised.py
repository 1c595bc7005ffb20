"""Supervised fine-tuning: what is tokenised, what is read, what it costs, and what is refused."""

import json

import numpy as np
import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from safetensors.torch import load_file
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from transformers import AutoTokenizer, LlamaForCausalLM

from calib_adapters.supervised.batch import SUMMARY, collate, read_logits, summarise
from calib_adapters.supervised.encode import encode_rows
from calib_adapters.supervised.losses import penalties, token_nll
from calib_adapters.supervised.rows import mixture
from calib_adapters.supervised.scores import fit_option_temperature, full_scores, quick_scores
from calib_adapters.training.recipe import load_recipe
from calib_adapters.training.schema import Penalty, PromptData
from calib_adapters.tune import tune
from helpers.adapters_common import prepared_row, write_prepared

FAST = ("dtype=float32", "optimiser.learning_rate=1e-2", "optimiser.epochs=2")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return AutoTokenizer.from_pretrained(tiny)


def row(prompt, completion, options=None, **more):
    base = {"id": "1", "task": "toy", "split": "train", "messages": None, "answers": None}
    return {**base, "prompt": prompt, "completion": completion, "options": options, **more}


def encode(rows, tokenizer, candidates=False, **settings):
    import datasets

    data = datasets.Dataset.from_list(rows)
    return encode_rows(data, tokenizer, PromptData(**settings), candidates=candidates).to_list()


MIXED = [
    row("Question: which is a metal?\nAnswer:", " tin", [" tin", " a red rose", " an oak"]),
    row("Question: which is a metal?\nAnswer:", " B", [" A", " B"]),
    row("Question: which one grows?\nAnswer:", " a red rose", [" tin", " a red rose"]),
    row("Who wrote it?\nAnswer: ", "Ann Lee", None, answers=["Ann Lee", "A. Lee"]),
    row("Say a number.", " 12"),
]


def table_of(model, encoded, width=3):
    batch = collate(encoded, pad=2, width=width)
    with torch.no_grad():
        logits = read_logits(model, batch)
        nll = token_nll(logits[: len(batch["targets"])], batch["targets"])
        return summarise(logits, nll, batch).numpy()


def test_completions_and_options_have_the_likelihoods_that_lm_eval_finds(tiny, tokenizer):
    model = LlamaForCausalLM.from_pretrained(tiny).eval()
    table = table_of(model, encode(MIXED, tokenizer, candidates=True))
    lm = HFLM(pretrained=tiny, device="cpu", dtype="float32", batch_size=1)

    def likelihood(prompt, text):
        request = Instance("loglikelihood", {}, (prompt, text), 0)
        return lm.loglikelihood([request], disable_tqdm=True)[0]

    for found, example in zip(table, MIXED, strict=True):
        value, greedy = likelihood(example["prompt"], example["completion"])
        assert found[0] == pytest.approx(-value, abs=1e-3)
        texts = example["options"] or [a for a in example["answers"] or [] if a != "Ann Lee"]
        for k, text in enumerate(texts):
            assert found[SUMMARY + k] == pytest.approx(
                likelihood(example["prompt"], text)[0], abs=1e-3
            )
        assert np.isneginf(found[SUMMARY + len(texts) :]).all()


def test_a_row_counts_as_written_when_greedy_decoding_writes_an_accepted_answer(tiny, tokenizer):
    model = LlamaForCausalLM.from_pretrained(tiny).eval()
    prompt = "Who wrote it?\nAnswer:"
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    written = model.generate(
        ids, max_new_tokens=3, do_sample=False, eos_token_id=None, pad_token_id=2
    )[0]
    text = tokenizer.decode(written)[len(prompt) :]
    assert tokenizer(prompt + text)["input_ids"] == written.tolist()  # else nothing is tested
    assert text == text.rstrip()
    lead = text[: len(text) - len(text.lstrip())]
    rows = [
        row(prompt, text),
        row(prompt, lead + "Zoe"),
        row(prompt, lead + "Zoe", answers=["Zoe", text.strip()]),
    ]
    greedy = table_of(model, encode(rows, tokenizer, candidates=True))[:, SUMMARY - 1]
    assert greedy.tolist() == [1.0, 0.0, 1.0]


def test_options_of_one_token_cost_no_further_sequences(tokenizer):
    rows = [prepared_row(i, "train") for i in range(4)]
    batch = collate(encode(rows, tokenizer, candidates=True), pad=2, width=3)
    assert len(batch["text_ids"]) == 4
    assert batch["at"].shape[1] == 4


def test_only_completions_are_learnt_and_their_end_where_they_are_open(tokenizer):
    rows = [row("Which?", " B", [" A", " B"]), row("Hello,", " Ann and Ann")]
    batch = collate(encode(rows, tokenizer), pad=2)
    assert tokenizer.decode(batch["targets"]) == " B Ann and Ann" + tokenizer.eos_token
    assert batch["ending"].tolist() == [False] * 4 + [True]
    for choice, ends in (("never", 0), ("always", 2)):
        assert collate(encode(rows, tokenizer, end_of_text=choice), 2)["ending"].sum() == ends


def test_classes_are_the_tokens_of_the_options_that_agree_so_far(tokenizer):
    options = [" red", " pale blue", " pale green"]
    found = encode([row("Colour:", " pale blue", options)], tokenizer)[0]["classes"]
    assert [{tokenizer.decode(t) for t in part} for part in found] == [
        {" red", " pale"},
        {" blue", " green"},
    ]


def test_chat_rows_are_what_the_template_writes_and_end_as_its_turns_do(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.chat_template = TEMPLATE
    turns = [
        ("system", "Be short."),
        ("user", "Hi"),
        ("assistant", "Ho"),
        ("user", "And?"),
        ("assistant", "So."),
    ]
    messages = [{"role": role, "content": content} for role, content in turns]
    chat = encode([row("And?", " So.", messages=messages)], tokenizer)[0]
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    assert tokenizer.decode(chat["input_ids"]) == whole.rstrip()
    start = chat["start"]
    assert tokenizer.decode(chat["input_ids"][start:]) == "So.<|im_end|>"
    assert chat["ends"] == 1
    plain = encode([row("And?", " So.", messages=messages)], tokenizer, chat_template="never")[0]
    assert tokenizer.decode(plain["input_ids"]) == "And? So.<|im_end|>"


@pytest.mark.parametrize("reply", ["d", "e", "end", "<", "|>", "assistant", "So. So.", "\\n", "0"])
def test_a_reply_that_occurs_in_the_templates_own_marks_is_learnt_as_it_is(tiny, reply):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.chat_template = TEMPLATE
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": reply}]
    chat = encode([row("Hi", reply, messages=messages)], tokenizer)[0]
    learnt = chat["input_ids"][chat["start"] :]
    assert tokenizer.decode(learnt) == f"{reply}<|im_end|>"
    assert learnt[-1:] == [tokenizer.convert_tokens_to_ids("<|im_end|>")] and chat["ends"] == 1
    assert tokenizer.decode(chat["input_ids"][: chat["start"]]) == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_model_without_a_chat_template_is_refused_for_chat(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.chat_template = None
    with pytest.raises(ValueError, match="'1' of toy cannot be written .*chat_template=never"):
        encode([row("Hi", " Ho")], tokenizer, chat_template="always")


@pytest.mark.parametrize(
    ("example", "sentence"),
    [
        (row("Hi", " "), "'1' of toy has an empty completion"),
        (row("Hi", " C", [" A", " B"]), "completion ' C', which is none of its options"),
    ],
)
def test_unusable_rows_are_named(tokenizer, example, sentence):
    with pytest.raises(ValueError, match=sentence):
        encode([example], tokenizer)


def test_longer_rows_are_left_out(tokenizer):
    rows = [row("one two three four five", " six", id=str(i)) for i in range(3)] + [row("a", " b")]
    assert len(encode(rows, tokenizer, max_tokens=4)) == 1


def test_label_smoothing_over_the_vocabulary_is_torchs():
    torch.manual_seed(0)
    logits, targets = torch.randn(6, 40), torch.randint(40, (6,))
    penalty = Penalty(regulariser="ls", alpha=0.1, classes="vocabulary")
    found = token_nll(logits, targets) + 0.1 * penalties(
        logits, targets, torch.full((6, 1), -1), penalty
    )
    expected = torch.nn.functional.cross_entropy(
        logits, targets, label_smoothing=0.1, reduction="none"
    )
    torch.testing.assert_close(found, expected)


def test_label_smoothing_over_options_is_torchs_on_their_logits():
    torch.manual_seed(0)
    logits = torch.randn(2, 40)
    classes = torch.tensor([[3, 9, 30, -1], [1, 2, 3, 4]])
    targets = torch.tensor([9, 4])
    found = penalties(logits, targets, classes, Penalty(regulariser="ls"))
    for i, (options, right) in enumerate((([3, 9, 30], 1), ([1, 2, 3, 4], 3))):
        z, y = logits[i, options][None], torch.tensor([right])
        smoothed = torch.nn.functional.cross_entropy(z, y, label_smoothing=0.1)
        plain = torch.nn.functional.cross_entropy(z, y)
        torch.testing.assert_close(plain + 0.1 * found[i], smoothed)


def test_margin_penalty_by_hand():
    # Logits 12, 0, 1 and a margin of 10: the excesses are 0, 2 and 1.
    logits, targets = torch.tensor([[12.0, 0.0, 1.0, 50.0]]), torch.tensor([0])
    classes = torch.tensor([[0, 1, 2]])
    mean, total = (
        penalties(logits, targets, classes, Penalty(regulariser="mbls", reduce=reduce))
        for reduce in (None, "sum")
    )
    assert mean.item() == pytest.approx(1.0)
    assert total.item() == pytest.approx(3.0)
    whole = penalties(logits, targets, classes, Penalty(regulariser="mbls", classes="vocabulary"))
    # To 50: excesses 28, 40, 39 and 0 over four tokens.
    assert whole.item() == pytest.approx(107 / 4)


def test_entropy_penalty_is_torchs_entropy():
    torch.manual_seed(0)
    logits, targets = torch.randn(3, 20), torch.tensor([1, 2, 0])
    classes = torch.tensor([[1, 5, -1], [-1, -1, -1], [0, -1, -1]])
    found = penalties(logits, targets, classes, Penalty(regulariser="ecp"))
    entropy = torch.distributions.Categorical(logits=logits[0, [1, 5]]).entropy()
    whole = torch.distributions.Categorical(logits=logits[1]).entropy()
    torch.testing.assert_close(found, torch.stack([-entropy, -whole, torch.tensor(0.0)]))


@pytest.mark.parametrize("regulariser", ["ls", "mbls", "ecp"])
def test_penalties_have_finite_gradients_at_padded_options(regulariser):
    logits = (torch.randn(2, 10) * 20).requires_grad_()
    classes = torch.tensor([[1, 2, -1], [3, 4, 5]])
    penalty = Penalty(regulariser=regulariser, margin=1)
    penalties(logits, torch.tensor([1, 5]), classes, penalty).sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0, [1, 2]].abs().sum() > 0
    assert logits.grad[0, 3:].abs().sum() == 0


def test_a_mixture_gives_each_task_its_share_and_repeats_the_small_ones():
    tasks = ["a"] * 100 + ["b"] * 10
    drawn = mixture(tasks, {"a": 1, "b": 1}, 60, 1.0, seed=0)
    assert sum(i < 100 for i in drawn) == 30
    times = np.bincount([i for i in drawn if i >= 100], minlength=110)[100:]
    assert times.tolist() == [3] * 10
    assert len({i for i in drawn if i < 100}) == 30
    assert drawn == mixture(tasks, {"a": 1, "b": 1}, 60, 1.0, seed=0)
    assert drawn != mixture(tasks, {"a": 1, "b": 1}, 60, 1.0, seed=1)


def test_without_weights_a_smaller_fraction_is_part_of_a_larger_one():
    tasks = ["a"] * 50
    assert mixture(tasks, None, None, 0.5, 3) == mixture(tasks, None, None, 1.0, 3)[:25]
    assert sorted(mixture(tasks, None, None, 1.0, 3)) == list(range(50))


def test_a_weighted_task_without_rows_is_named():
    with pytest.raises(ValueError, match="no training rows of chess; it has a"):
        mixture(["a"], {"chess": 1}, None, 1.0, 0)


def random_table(n=300, options=4, scale=3.0, seed=0):
    """Scores whose softmax at temperature `scale` is calibrated."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1.5, (n, options))
    gold = np.array([rng.choice(options, p=p) for p in softmax(scores, axis=1)])
    head = np.column_stack([np.full(n, 4.0), np.full(n, 2.0), np.zeros((n, 3))])
    return np.column_stack([head, scale * scores]), gold


def test_option_temperature_undoes_a_known_sharpening():
    table, gold = random_table(n=4000)
    fitted = fit_option_temperature(table, gold)
    assert fitted["temperature"] == pytest.approx(3.0, rel=0.1)


def test_with_two_options_the_temperature_is_that_of_logistic_regression():
    table, gold = random_table(options=2)
    odds = (table[:, SUMMARY + 1] - table[:, SUMMARY])[:, None]
    slope = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(odds, gold).coef_
    fitted = fit_option_temperature(table, gold)
    assert fitted["temperature"] == pytest.approx(1 / slope[0, 0], rel=1e-3)


def test_scores_of_options_are_those_of_the_most_probable_one():
    table, gold = random_table()
    found = quick_scores(table, gold)
    p = softmax(table[:, SUMMARY:], axis=1)
    right = p.argmax(1) == gold
    assert found["acc"] == pytest.approx(right.mean())
    assert found["brier"] == pytest.approx(np.mean((p.max(1) - right) ** 2))
    assert found["option_nll"] == pytest.approx(-np.log(p[np.arange(len(p)), gold]).mean())
    assert found["nll"] == pytest.approx(2.0)  # 4 nats on 2 tokens
    full = full_scores(table, gold, "test")
    for name in ("nll", "acc", "ece", "auroc", "brier", "option_nll"):
        assert full[name]["value"] == pytest.approx(found[name])
    assert full["acc"]["low"] < full["acc"]["value"] < full["acc"]["high"]


def test_an_all_right_validation_split_has_no_auroc():
    table, _ = random_table(n=20)
    gold = table[:, SUMMARY:].argmax(1)
    assert "auroc" not in quick_scores(table, gold)
    json.dumps(full_scores(table, gold, "test"), allow_nan=False)


def test_open_rows_have_an_exact_match_instead_of_option_scores():
    table, _ = random_table(n=4)
    table[:3, SUMMARY - 1] = 1
    found = quick_scores(table, np.full(4, -1))
    assert found["exact"] == 0.75
    assert "acc" not in found


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, tiny, prepared):
    return tune("sft", tiny, prepared, tmp_path_factory.mktemp("out") / "adapter", FAST)


def test_a_fine_tuned_adapter_learns_and_says_how_well(adapter):
    calibration = json.loads((adapter / "calibration.json").read_text())
    first, last = calibration["epochs"]
    assert last["eval_nll"] < first["eval_nll"]
    assert last["eval_perplexity"] == pytest.approx(np.exp(last["eval_nll"]))
    assert {"nll", "acc", "ece", "brier"} <= set(calibration["validation"])
    assert calibration["temperature"] > 0


def test_lm_eval_finds_the_validation_nll_that_training_reports(tiny, prepared, adapter):
    import datasets

    rows = datasets.load_from_disk(str(prepared))["validation"]
    lm = HFLM(pretrained=tiny, peft=str(adapter), device="cpu", dtype="float32", batch_size=4)
    requests = [
        Instance("loglikelihood", {}, (r["prompt"], r["completion"]), i) for i, r in enumerate(rows)
    ]
    found = lm.loglikelihood(requests, disable_tqdm=True)
    expected = -np.mean([value for value, _ in found])
    calibration = json.loads((adapter / "calibration.json").read_text())
    assert calibration["validation"]["nll"]["value"] == pytest.approx(expected, abs=1e-3)


def test_all_weights_are_trained_without_lora(tmp_path, tiny, prepared):
    output = tmp_path / "model"
    overrides = ("lora=null", "optimiser.epochs=1", "optimiser.warmup_steps=0", "dtype=float32")
    tune("sft", tiny, prepared, output, overrides)
    before, after = (load_file(f"{folder}/model.safetensors") for folder in (tiny, output))
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert len(changed) == len(before)
    assert AutoTokenizer.from_pretrained(output).eos_token
    with pytest.raises(ValueError, match="lora is null.*dtype=float32"):
        load_recipe("sft", ["lora=null", "dtype=bfloat16"])


def test_open_answers_and_several_tasks_are_trained_together(tmp_path, tiny):
    rows = [
        prepared_row(i, split, options=task == "choice", task=task)
        for split, n in (("train", 8), ("validation", 6))
        for task in ("choice", "open")
        for i in range(n)
    ]
    data = write_prepared(tmp_path / "data", rows)
    weights = "data.weights={choice: 1, open: 3}"
    output = tune(
        "multi_task",
        tiny,
        data,
        tmp_path / "adapter",
        ("dtype=float32", "optimiser.epochs=1", weights),
    )
    calibration = json.loads((output / "calibration.json").read_text())
    assert "acc" in calibration["tasks"]["choice"]
    assert "exact" in calibration["tasks"]["open"]
    training = json.loads((output / "training.json").read_text())
    assert training["data"]["train_by_task"] == {"choice": 4, "open": 12}


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("data.tasks=[chess]", "no rows of chess; it has toy"),
        ("data.max_tokens=3", "all 40 rows in the split 'train' .*longer than 3 tokens"),
    ],
)
def test_unusable_data_is_a_sentence(tmp_path, tiny, prepared, override, sentence):
    with pytest.raises(ValueError, match=sentence):
        tune("sft", tiny, prepared, tmp_path / "adapter", (*FAST, override))
