"""The fast paths of calib-hf say what the stock ``hf`` back end says, for every form of request."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import (
    AutoTokenizer,
)

from calib_adapters.serving.fast.memory import Memory
from calib_adapters.serving.fast.sizes import sizes
from calib_adapters.serving.model import CalibHFLM
from calib_adapters.training.base_model import add_lora, load_base, save_adapter
from calib_adapters.training.schema import Lora
from helpers.fast_requests import QUESTIONS, check_scores, continuations, generations

CPU = {"device": "cpu", "dtype": "float32"}


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, tiny):
    torch.manual_seed(0)
    model = add_lora(load_base(tiny, "float32", torch.device("cpu")), Lora(r=4), tiny)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    folder = tmp_path_factory.mktemp("adapter")
    save_adapter(model, tiny, folder)
    return str(folder)


# --------------------------------------------------------------------------------------- adapters


def test_base_and_confidence_adapter_do_not_share_a_prefix_cache(tiny, adapter):
    """The same prompts under both, so that one's keys would spoil the other's numbers."""
    prompts = [f"{'Long enough to share. ' * 30}Question: {q}\nAnswer:" for q in QUESTIONS]
    pairs = [(prompt, text) for prompt in prompts for text in (" Yes", " No")]
    asked = [
        Instance("loglikelihood_after_generate_until", {}, pair, 0, ("t", i, 1))
        for i, pair in enumerate(pairs)
    ]
    both = CalibHFLM(tiny, confidence_adapter=adapter, batch_size=8, **CPU)
    base, tuned = HFLM(tiny, **CPU), HFLM(tiny, peft=adapter, **CPU)
    for _ in range(2):
        assert both.generate_until(generations(prompts)) == base.generate_until(
            generations(prompts)
        )
        check_scores(both.loglikelihood(asked), tuned.loglikelihood(asked))
        plain = continuations(pairs)
        check_scores(both.loglikelihood(plain), base.loglikelihood(plain))


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_tokenizers_padding_side_changes_nothing(tiny, stock, side):
    tokenizer = AutoTokenizer.from_pretrained(tiny, padding_side=side)
    lm = CalibHFLM(tiny, tokenizer=tokenizer, batch_size=7, **CPU)
    assert lm.generate_until(generations(QUESTIONS)) == stock.generate_until(generations(QUESTIONS))
    pairs = [(q, t) for q in QUESTIONS for t in (" Lima", " It is four, of course")]
    check_scores(lm.loglikelihood(continuations(pairs)), stock.loglikelihood(continuations(pairs)))


# --------------------------------------------------------------------------------------- requests


def test_a_likelihood_of_what_was_just_written_needs_no_second_pass(tiny, stock, monkeypatch):
    lm = CalibHFLM(tiny, batch_size="auto", **CPU)
    answers = lm.generate_until(generations(QUESTIONS))
    pairs = [(q, a) for q, a in zip(QUESTIONS, answers, strict=True) if a]
    expected = stock.loglikelihood(continuations(pairs))
    fresh = CalibHFLM(tiny, batch_size="auto", **CPU).loglikelihood(continuations(pairs))
    runs = []
    monkeypatch.setattr(lm._fast._network, "_run", lambda *args: runs.append(args))
    known = [
        pair for pair in pairs
        if lm._fast._memory.look_up(None, *map(tuple, lm._encode_pair(*pair))) is not None
    ]  # fmt: skip
    assert known  # a random model's text need not be tokenised as it was written
    found = lm.loglikelihood(continuations(known))
    assert runs == []
    wanted = dict(zip(pairs, expected, strict=True))
    check_scores(found, [wanted[pair] for pair in known])
    check_scores(fresh, expected)


def test_one_pass_serves_all_options_and_each_prompt_once(tiny, stock, monkeypatch):
    lm = CalibHFLM(tiny, batch_size="auto", **CPU)
    widths = []
    run = lm._fast._network._run
    monkeypatch.setattr(
        lm._fast._network, "_run",
        lambda view, ids, *of: widths.append(tuple(ids.shape)) or run(view, ids, *of),
    )  # fmt: skip
    pairs = [(q, f" {letter}") for q in QUESTIONS for letter in "ABCD"]
    check_scores(lm.loglikelihood(continuations(pairs)), stock.loglikelihood(continuations(pairs)))
    assert [rows for rows, _ in widths] == [3]
    widths.clear()
    pairs = [(q, t) for q in QUESTIONS for t in (" Lima, in Peru", " Rome", " four or five")]
    check_scores(lm.loglikelihood(continuations(pairs)), stock.loglikelihood(continuations(pairs)))
    # The prompts are kept; what follows the first tokens, of two options, is read.
    assert [rows for rows, _ in widths] == [6]


@pytest.mark.parametrize("room", [True, False])
def test_a_second_turn_goes_on_from_what_was_read_if_there_is_room(tiny, stock, monkeypatch, room):
    lm = CalibHFLM(tiny, batch_size="auto", **CPU)
    if not room:
        lm._fast._memory = Memory(lm._fast._network, 0)
    turns = [f"Question: {q}\nAnswer: It is as far as I know Lima\n\n" for q in QUESTIONS]
    pairs = [(f"{turn}Is that correct?\nAnswer:", t) for turn in turns for t in (" Yes", " No")]
    check_scores(lm.loglikelihood(continuations(pairs)), stock.loglikelihood(continuations(pairs)))
    widths = []
    run = lm._fast._network._run
    monkeypatch.setattr(
        lm._fast._network, "_run",
        lambda view, ids, *of: widths.append(ids.shape[1]) or run(view, ids, *of),
    )  # fmt: skip
    asked = generations(
        [f"{turn}How likely is that, from 0% to 100%?\nProbability:" for turn in turns],
        "generate_until_after_generate_until",
    )
    assert lm.generate_until(asked) == stock.generate_until(asked)
    whole = max(len(lm.tok_encode(request.args[0])) for request in asked)
    new = len(lm.tok_encode("How likely is that, from 0% to 100%?\nProbability:"))
    assert widths[0] == (new if room else whole)


def test_requests_of_every_length_come_back_in_their_order(tiny, stock):
    prompts = ["word " * n + "?" for n in (3, 200, 1, 40, 7, 150, 2)]
    texts = [" yes", " yes and no " * 30, " no"]
    pairs = [(prompt, text) for prompt in prompts for text in texts] + [("", " Lima"), ("a ", "b")]
    lm = CalibHFLM(tiny, batch_size="auto", **CPU)
    check_scores(lm.loglikelihood(continuations(pairs)), stock.loglikelihood(continuations(pairs)))
    asked = generations([*prompts, prompts[0]], until=["\n", "e"], max_gen_toks=30)
    assert lm.generate_until(asked) == HFLM(tiny, batch_size=1, **CPU).generate_until(asked)


def test_rows_that_have_stopped_leave_the_batch(tiny, monkeypatch):
    lm = CalibHFLM(tiny, batch_size=3, **CPU)
    rows = []
    step = lm._fast._network.step
    monkeypatch.setattr(
        lm._fast._network, "step",
        lambda tokens, *args: rows.append(len(tokens)) or step(tokens, *args),
    )  # fmt: skip
    texts = lm.generate_until(generations(QUESTIONS, until=["e", "s"], max_gen_toks=20))
    lengths = [len(lm.tok_encode(text)) for text in texts]
    assert sum(rows) < 3 * len(rows) or len(set(lengths)) == 1
    assert rows == sorted(rows, reverse=True)


def test_padding_does_not_go_through_the_layers(tiny, stock):
    prompts = ["word " * n + "?" for n in (3, 40, 1, 7)]
    lm = CalibHFLM(tiny, batch_size="auto", **CPU)
    tokens = []
    lm.model.get_input_embeddings().register_forward_pre_hook(
        lambda module, given: tokens.append(given[0].numel())
    )
    asked = continuations([(prompt, text) for prompt in prompts for text in (" Yes", " No")])
    check_scores(lm.loglikelihood(asked), stock.loglikelihood(asked))
    assert sum(tokens) == sum(len(lm.tok_encode(prompt)) for prompt in prompts)


@pytest.mark.parametrize(("rows", "most"), [(256, 1), (256, 3), (6, 30), (2, 30)])
def test_questions_wait_for_a_place_and_for_memory(tiny, stock, monkeypatch, rows, most):
    """At most `rows` are written at a time, or what holds the keys of `most` of the longest."""
    prompts = [f"{'word ' * (n % 7)}number {n}?" for n in range(30)]
    lm = CalibHFLM(tiny, batch_size="auto", **CPU)
    longest = max(len(lm.tok_encode(prompt)) for prompt in prompts)
    small = partial(replace, rows=rows, keys=most * longest)
    monkeypatch.setattr("calib_adapters.serving.fast.requests.sizes", lambda *of: small(sizes(*of)))
    written, held = [], []
    step = lm._fast._network.step

    def watched(tokens, past, *of):
        written.append(len(tokens))
        held.append(past.mask[past.question.unique()].sum().item())
        return step(tokens, past, *of)

    monkeypatch.setattr(lm._fast._network, "step", watched)
    asked = generations(prompts)
    assert lm.generate_until(asked) == stock.generate_until(asked)
    assert 1 <= max(written) <= rows
    assert longest <= max(held) <= most * longest
