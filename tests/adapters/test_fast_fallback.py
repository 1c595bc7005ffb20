"""What the fast paths of calib-hf leave to the stock ``hf`` back end, and models of every kind."""

from collections import Counter
from contextlib import nullcontext

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import (
    AutoTokenizer,
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaForCausalLM,
    LlamaModel,
    MistralConfig,
    MistralForCausalLM,
    PhimoeConfig,
    PhimoeForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from calib_adapters.serving.fast import network
from calib_adapters.serving.fast.texts import ending
from calib_adapters.serving.model import CalibHFLM
from helpers.fast_requests import QUESTIONS, check_scores, continuations, generations

CPU = {"device": "cpu", "dtype": "float32"}


def counted(monkeypatch):
    """How many requests the stock back end was given, by what it was asked."""
    seen = Counter()
    for name in ("generate_until", "_loglikelihood_tokens"):
        run = getattr(HFLM, name)

        def spy(self, requests, *args, run=run, name=name, **kwargs):
            seen[name] += len(requests)
            return run(self, requests, *args, **kwargs)

        monkeypatch.setattr(HFLM, name, spy)
    return seen


@pytest.mark.parametrize(
    "generation",
    [
        {"repetition_penalty": 1.3},
        {"num_beams": 2},
        {"until": ["a\nb", "\n"]},
        {"until": [""]},
    ],  # fmt: skip
    ids=["repetition_penalty", "num_beams", "stops_within_stops", "empty_stop"],
)
def test_unusual_generation_is_left_to_the_stock_back_end(tiny, stock, monkeypatch, generation):
    asked = generations(QUESTIONS, **generation)
    expected = stock.generate_until(asked)
    lm = CalibHFLM(tiny, batch_size=4, **CPU)
    seen = counted(monkeypatch)
    mixed = lm.generate_until([*asked, *generations(QUESTIONS)])
    assert mixed[:3] == expected
    assert mixed[3:] == stock.generate_until(generations(QUESTIONS))
    assert seen["generate_until"] == 3 + 3  # ours, and the line above


@pytest.mark.parametrize("setting", [{"repetition_penalty": 1.5}, {"max_new_tokens": 12}])
def test_the_models_generation_config_is_heeded(tiny, monkeypatch, setting):
    lm, stock = CalibHFLM(tiny, batch_size=4, **CPU), HFLM(tiny, batch_size=4, **CPU)
    for model in (lm, stock):
        model.model.generation_config.update(**setting)
    seen = counted(monkeypatch)
    assert lm.generate_until(generations(QUESTIONS)) == stock.generate_until(generations(QUESTIONS))
    assert seen["generate_until"] == 6


def test_prompts_longer_than_the_window_are_cut_as_in_the_stock_back_end(tiny, monkeypatch):
    options = {"max_length": 40, "batch_size": 1, **CPU}
    lm, stock = CalibHFLM(tiny, **options), HFLM(tiny, **options)
    prompts = ["word " * 60 + "?", "short?"]
    seen = counted(monkeypatch)
    asked = generations(prompts)
    assert lm.generate_until(asked) == stock.generate_until(asked)
    pairs = continuations([(prompt, " yes it is") for prompt in prompts])
    check_scores(lm.loglikelihood(pairs), stock.loglikelihood(pairs))
    assert seen == {"generate_until": 1 + 2, "_loglikelihood_tokens": 1 + 2}


def test_rolling_log_likelihoods_are_the_stock_back_ends(tiny, stock):
    texts = [Instance("loglikelihood_rolling", {}, (t,), i) for i, t in enumerate(QUESTIONS)]
    lm = CalibHFLM(tiny, batch_size=4, **CPU)
    assert lm.loglikelihood_rolling(texts) == stock.loglikelihood_rolling(texts)


def test_an_encoder_decoder_runs_as_in_the_stock_back_end(tiny, tmp_path, caplog):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=4,
        decoder_start_token_id=0, pad_token_id=2, eos_token_id=2,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with caplog.at_level("WARNING"):
        lm = CalibHFLM(str(tmp_path), batch_size=4, **CPU)
    assert "runs as in hf, because it is an encoder with a decoder" in caplog.text
    stock = HFLM(str(tmp_path), batch_size=4, **CPU)
    pairs = continuations([(q, " Lima") for q in QUESTIONS])
    assert lm.loglikelihood(pairs) == stock.loglikelihood(pairs)
    assert lm.generate_until(generations(QUESTIONS)) == stock.generate_until(generations(QUESTIONS))


def other_model(folder, tokenizer_of, kind):
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_of)
    torch.manual_seed(0)
    size = {"vocab_size": len(tokenizer), "pad_token_id": 2, "eos_token_id": 2, "bos_token_id": 1}
    if kind == "gpt2":  # learnt positions, one weight matrix for queries, keys and values
        model = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, **size))
    else:
        size |= {
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.2,
        }  # fmt: skip
        window = {"sliding_window": 32}  # of which Phimoe's layers know by the mask alone
        caps = {"attn_logit_softcapping": 0.5, "final_logit_softcapping": 0.5, "head_dim": 8}
        model = {
            "window": lambda: MistralForCausalLM(MistralConfig(**size, **window)),
            "window_in_mask": lambda: PhimoeForCausalLM(
                PhimoeConfig(num_local_experts=2, **size, **window)
            ),
            "logits_divided": lambda: GraniteForCausalLM(GraniteConfig(**size, logits_scaling=3.0)),
            "logits_multiplied": lambda: CohereForCausalLM(CohereConfig(**size, logit_scale=0.3)),
            "capped": lambda: Gemma2ForCausalLM(Gemma2Config(**size, **caps)),
            "windows_in_turn": lambda: Gemma3ForCausalLM(
                Gemma3TextConfig(
                    **size,
                    **window,
                    head_dim=8,
                    query_pre_attn_scalar=8,
                    layer_types=["sliding_attention", "full_attention"],
                )
            ),
            "biases": lambda: Qwen2ForCausalLM(Qwen2Config(**size)),
        }[kind]()
        for name, bias in model.named_parameters():
            if name.endswith("_proj.bias"):
                torch.nn.init.normal_(bias)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


KINDS = {  # and whether texts longer than their window are served
    "gpt2": True, "window": True, "window_in_mask": False, "windows_in_turn": True, "biases": True,
    "logits_divided": True, "logits_multiplied": True, "capped": True,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_other_architectures_have_their_own_numbers(tiny, tmp_path, kind, monkeypatch):
    model = other_model(tmp_path, tiny, kind)
    lm, stock = CalibHFLM(model, batch_size=4, **CPU), HFLM(model, batch_size=1, **CPU)
    assert lm._fast.serves
    prompts = ["One two three four five six seven. " * 4 + q for q in QUESTIONS] + QUESTIONS
    pairs = [(prompt, text) for prompt in prompts for text in (" Lima", " in Peru, I think")]
    texts = stock.generate_until(generations(prompts))
    scores = stock.loglikelihood(continuations(pairs))
    seen = counted(monkeypatch)
    assert lm.generate_until(generations(prompts)) == texts
    check_scores(lm.loglikelihood(continuations(pairs)), scores)
    assert (not seen) == KINDS[kind]


def test_texts_past_a_window_that_could_not_be_tried_are_left_to_the_stock_back_end(
    tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(network, "_narrowed", lambda *_: nullcontext())
    lm = CalibHFLM(other_model(tmp_path, tiny, "windows_in_turn"), batch_size=4, **CPU)
    seen = counted(monkeypatch)
    lm.loglikelihood(continuations([(QUESTIONS[0], " Lima"), (QUESTIONS[0] * 9, " Lima")]))
    assert seen == {"_loglikelihood_tokens": 1}


STOPS = ["\n", ".", "\n\n", " the", "Q:", "é", " ", "a ", "<|im_end|>", "🙂"]


@given(st.text(alphabet="aé🙂Q: .the\n", max_size=20), st.lists(st.sampled_from(STOPS), min_size=1))
def test_a_text_ends_at_the_first_token_that_completes_a_stop_string(stock, text, stops):
    tokens = stock.tok_encode(text + "<|im_end|>. the end", add_special_tokens=False)
    ended = ending(stock, stops)
    for n in range(1, len(tokens) + 1):
        texts = [stock.tok_decode(tokens[:n], skip_special_tokens=skip) for skip in (True, False)]
        expected = tokens[n - 1] == stock.eot_token_id or any(s in t for s in stops for t in texts)
        assert ended(tuple(tokens[:n])) == expected
        if expected:
            break


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_logits_that_are_others_than_the_heads_are_left_to_the_stock_back_end(
    tiny, monkeypatch, caplog, dtype
):
    forward = LlamaForCausalLM.forward

    def scaled(self, *given, **options):
        found = forward(self, *given, **options)
        found.logits = found.logits * 1.05
        return found

    monkeypatch.setattr(LlamaForCausalLM, "forward", scaled)
    with caplog.at_level("WARNING"):
        lm = CalibHFLM(tiny, batch_size=4, device="cpu", dtype=dtype)
    assert "runs as in hf, because its logits are others than its head's" in caplog.text
    stock = HFLM(tiny, batch_size=4, device="cpu", dtype=dtype, softmax_dtype="float32")
    pairs = continuations([(q, " Lima") for q in QUESTIONS])
    assert lm.loglikelihood(pairs) == stock.loglikelihood(pairs)


def test_layers_that_refuse_to_run_in_pieces_are_left_to_the_stock_back_end(
    tiny, stock, monkeypatch, caplog
):
    forward = LlamaModel.forward

    def whole(self, *given, position_ids=None, **options):
        if position_ids is not None:
            raise RuntimeError("positions are my own business")
        return forward(self, *given, **options)

    monkeypatch.setattr(LlamaModel, "forward", whole)
    with caplog.at_level("WARNING"):
        lm = CalibHFLM(tiny, batch_size=4, **CPU)
    assert "runs as in hf, because its layers do not take these arguments" in caplog.text
    pairs = continuations([(q, " Lima") for q in QUESTIONS])
    assert lm.loglikelihood(pairs) == stock.loglikelihood(pairs)


def test_padding_does_not_reach_past_the_window(tiny, tmp_path):
    """A long prompt with a short continuation, beside a short prompt with a long one."""
    model = other_model(tmp_path, tiny, "gpt2")
    lm, stock = CalibHFLM(model, batch_size="auto", **CPU), HFLM(model, batch_size=1, **CPU)
    pairs = continuations([("a" + " a" * 1019, " b b"), ("x", " word" * 40)])
    check_scores(lm.loglikelihood(pairs), stock.loglikelihood(pairs))


def test_fast_can_be_switched_off(tiny, stock, monkeypatch):
    seen = counted(monkeypatch)
    lm = CalibHFLM(tiny, fast=False, batch_size=4, **CPU)
    lm.generate_until(generations(QUESTIONS))
    assert seen["generate_until"] == 3


def test_bfloat16_is_near_the_stock_back_ends_float32(tiny, stock):
    lm = CalibHFLM(tiny, device="cpu", dtype="bfloat16", batch_size="auto")
    assert lm._fast.serves
    pairs = [(q, f" {letter}") for q in QUESTIONS for letter in "ABCD"]
    found = lm.loglikelihood(continuations(pairs))
    expected = stock.loglikelihood(continuations(pairs))
    assert max(abs(a - b) for (a, _), (b, _) in zip(found, expected, strict=True)) < 0.2
