"""The fast paths of calib-hf say what the stock ``hf`` back end says, for every form of request."""

from collections import Counter
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from scipy.stats import chi2, kstest
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
from calib_adapters.serving.fast.draws import numbers_of, pick
from calib_adapters.serving.fast.memory import Memory
from calib_adapters.serving.fast.texts import ending
from calib_adapters.serving.model import CalibHFLM
from calib_adapters.training.base_model import add_lora, load_base, save_adapter
from calib_adapters.training.schema import Lora

CPU = {"device": "cpu", "dtype": "float32"}
GREEDY = {"until": ["\n"], "max_gen_toks": 8, "do_sample": False}
QUESTIONS = ["Capital of Peru?", "Who wrote Hamlet, and when, and why, do you think?", "2 + 2 ="]


@pytest.fixture(scope="module")
def stock(tiny):
    return HFLM(tiny, batch_size=4, **CPU)


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


def generations(prompts, kind="generate_until", **generation):
    arguments = {**GREEDY, **generation}
    return [
        Instance(kind, {}, (prompt, dict(arguments)), 0, ("t", i, 1))
        for i, prompt in enumerate(prompts)
    ]


def continuations(pairs):
    return [Instance("loglikelihood", {}, pair, 0, ("t", i, 1)) for i, pair in enumerate(pairs)]


def check_scores(found, expected):
    assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]
    np.testing.assert_allclose([x for x, _ in found], [x for x, _ in expected], atol=1e-4)


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
        lambda view, ids, start: widths.append(tuple(ids.shape)) or run(view, ids, start),
    )  # fmt: skip
    pairs = [(q, f" {letter}") for q in QUESTIONS for letter in "ABCD"]
    check_scores(lm.loglikelihood(continuations(pairs)), stock.loglikelihood(continuations(pairs)))
    assert [rows for rows, _ in widths] == [3]
    widths.clear()
    pairs = [(q, t) for q in QUESTIONS for t in (" Lima, in Peru", " Rome", " four or five")]
    check_scores(lm.loglikelihood(continuations(pairs)), stock.loglikelihood(continuations(pairs)))
    assert [rows for rows, _ in widths] == [3, 6]  # what follows the first tokens, of two options


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
        lambda view, ids, start: widths.append(ids.shape[1]) or run(view, ids, start),
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


# --------------------------------------------------------------------------------------- sampling


def goodness_of_fit(counts, probabilities, n):
    """The p-value of Pearson's test; tokens expected fewer than five times are one class."""
    common = sorted((t for t, p in probabilities.items() if n * p >= 5), key=probabilities.get)
    if n - sum(n * probabilities[t] for t in common) < 5:  # too few for a class of their own
        common = common[1:]
    if not common:  # one class: nothing can be seen
        return 1.0
    observed = [counts[t] for t in common] + [n - sum(counts[t] for t in common)]
    expected = [n * probabilities[t] for t in common]
    expected.append(n - sum(expected))
    statistic = sum((o - e) ** 2 / e for o, e in zip(observed, expected, strict=True) if e > 0)
    return chi2.sf(statistic, len(common))


@pytest.mark.parametrize(("top_k", "temperature"), [(None, 0.5), (0, 0.2), (5, 0.5)])
def test_samples_have_the_frequencies_that_generate_would_give(tiny, stock, top_k, temperature):
    """First tokens, against generate()'s own probabilities: its default is among the 50 likeliest.

    Two tokens, so that both the draw of all samples from one state and that of each from its own
    are tested: the second after each of the two commonest first ones.
    """
    torch.manual_seed(0)
    n = 3000
    extra = {} if top_k is None else {"top_k": top_k}
    lm = CalibHFLM(tiny, batch_size="auto", **CPU)
    asked = generations(
        ["Capital of Peru?"], "generate_samples", do_sample=True, temperature=temperature,
        max_gen_toks=2, until=["never seen"], **extra,
    ) * n  # fmt: skip
    drawn = []
    remember = lm._fast._memory.remember
    lm._fast._memory.remember = lambda a, r, texts: drawn.extend(texts) or remember(a, r, texts)
    lm.generate_until(asked)
    assert len(drawn) == n
    ids = torch.tensor([lm.tok_encode("Capital of Peru?")])
    done = stock.model.generate(
        ids, do_sample=True, temperature=temperature, max_new_tokens=1, output_scores=True,
        return_dict_in_generate=True, **extra,
    )  # fmt: skip
    chances = dict(enumerate(done.scores[0][0].softmax(-1).tolist()))
    firsts = Counter(text.tokens[0] for text in drawn)
    assert goodness_of_fit(firsts, chances, n) > 1e-4
    for first, _ in firsts.most_common(2):
        done = stock.model.generate(
            torch.cat([ids, torch.tensor([[first]])], 1), do_sample=True, temperature=temperature,
            max_new_tokens=1, output_scores=True, return_dict_in_generate=True, **extra,
        )  # fmt: skip
        chances = dict(enumerate(done.scores[0][0].softmax(-1).tolist()))
        seconds = Counter(t.tokens[1] for t in drawn if t.tokens[0] == first and len(t.tokens) > 1)
        assert goodness_of_fit(seconds, chances, sum(seconds.values())) > 1e-4


def test_a_text_is_drawn_as_often_as_the_stock_back_ends_logits_say(embedded_model_path):
    """The greedy answer's probability: its tokens' among the 50 likeliest at each, multiplied."""
    lm = CalibHFLM(str(embedded_model_path), batch_size="auto", **CPU)
    stock = HFLM(lm.model, tokenizer=lm.tokenizer, batch_size=1)
    shots = "Q: Capital of Italy?\nA: Rome\n\nQ: Who wrote Faust?\nA: Goethe\n\n"
    asked = "Capital of Peru?", "Capital of Austria?", "Who wrote Hamlet?", "Biggest planet?"
    prompts, draws = [f"{shots}Q: {question}\nA:" for question in asked], 400
    greedy = stock.generate_until(generations(prompts))
    exact = []
    for prompt, answer in zip(prompts, greedy, strict=True):
        start, tokens = len(lm.tok_encode(prompt)), lm.tok_encode(f"{prompt}{answer}\n")
        with torch.no_grad():
            logits, kept = stock.model(torch.tensor([tokens])).logits[0, start - 1 : -1].topk(50)
        written = kept == torch.tensor(tokens[start:])[:, None]
        written[-1] = torch.tensor(
            ["\n" in lm.tok_decode([i]) or i == lm.eot_token_id for i in kept[-1].tolist()]
        )
        exact.append((logits.softmax(-1) * written).sum(-1).prod().item())
    exact = np.array(exact)
    assert ((exact > 0.02) & (exact < 0.98)).sum() >= 3  # there is something to see
    torch.manual_seed(0)
    repeated = [prompt for prompt in prompts for _ in range(draws)]
    # The likeliest answers are one token and the end of the line: two tokens tell.
    drawn = {"do_sample": True, "temperature": 1.0, "max_gen_toks": 3}
    texts = lm.generate_until(generations(repeated, "generate_samples", **drawn))
    same = np.array(texts).reshape(len(prompts), draws) == np.array(greedy)[:, None]
    surprise = (same.mean(1) - exact) ** 2 / (exact * (1 - exact) / draws)
    assert surprise.sum() < chi2.ppf(0.999, len(prompts))


def test_top_p_draws_among_the_same_tokens_as_generate(tiny, stock):
    torch.manual_seed(0)
    lm = CalibHFLM(tiny, batch_size="auto", **CPU)
    options = {"do_sample": True, "temperature": 0.7, "top_p": 0.4, "top_k": 0}
    ids = torch.tensor([lm.tok_encode("Capital of Peru?")])
    done = stock.model.generate(
        ids, max_new_tokens=1, output_scores=True, return_dict_in_generate=True, **options
    )
    chances = dict(enumerate(done.scores[0][0].softmax(-1).tolist()))
    asked = generations(["Capital of Peru?"], "generate_samples", max_gen_toks=1, **options) * 1000
    lm.generate_until(asked)
    row = tuple(lm.tok_encode("Capital of Peru?"))
    firsts = Counter(text.tokens[0] for text in lm._fast._memory._written[None, row])
    assert all(chances[token] > 0 for token in firsts)
    assert goodness_of_fit(firsts, chances, 1000) > 1e-4


def test_samples_are_weighed_by_the_log_probabilities_of_their_own_pass(tiny, stock):
    torch.manual_seed(0)
    lm = CalibHFLM(tiny, batch_size="auto", **CPU)
    few = "".join(f"Question: {q}\nAnswer: right\n\n" for q in QUESTIONS)
    prompts = [f"{few}Question: {q}\nAnswer:" for q in QUESTIONS]
    asked = [r for r in generations(prompts, "generate_samples", do_sample=True, temperature=1.0)
             for _ in range(10)]  # fmt: skip
    lm.generate_until(asked)
    for prompt in prompts:
        row = tuple(lm.tok_encode(prompt))
        written = lm._fast._memory._written[None, row]
        assert len(written) == 10
        pairs = [((prompt, ""), list(row), list(text.tokens)) for text in written]
        expected = stock._loglikelihood_tokens(pairs, disable_tqdm=True)
        check_scores([(sum(t.logprobs), all(t.likeliest)) for t in written], expected)


def test_the_seed_decides_the_samples(tiny):
    lm = CalibHFLM(tiny, batch_size="auto", **CPU)
    asked = generations(QUESTIONS * 5, "generate_samples", do_sample=True, temperature=1.0)
    texts = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        lm._fast._memory.forget()
        texts.append(lm.generate_until(asked))
    assert texts[0] == texts[1] != texts[2]


def test_the_batch_the_other_questions_and_what_was_drawn_before_change_no_sample(tiny):
    texts = []
    for size, prompts in [("auto", QUESTIONS), (1, QUESTIONS), (2, QUESTIONS[::-1])]:
        lm = CalibHFLM(tiny, batch_size=size, **CPU)
        drawn = generations(prompts, "generate_samples", do_sample=True, temperature=1.0)
        asked = [request for request in drawn for _ in range(5)]
        torch.manual_seed(1)
        if size == 2:
            torch.rand(3)
        found = lm.generate_until(asked)
        texts.append([found[5 * prompts.index(q) :][:5] for q in QUESTIONS])
    assert texts[0] == texts[1] == texts[2]
    assert len({text for found in texts[0] for text in found}) > 10


def test_a_number_belongs_to_key_prompt_repetition_and_token():
    few, many = numbers_of("key", (1, 2), 3, 5), numbers_of("key", (1, 2), 7, 9)
    assert (few == many[:3, :5]).all()
    others = [numbers_of("other", (1, 2), 7, 9), numbers_of("key", (1, 258), 7, 9),
              numbers_of("key", (1,), 7, 9)]  # fmt: skip
    drawn = np.concatenate([numbers.ravel() for numbers in (many, *others)])
    assert len(set(drawn)) == len(drawn)
    assert kstest(numbers_of("key", (1,), 200, 200).ravel(), "uniform").pvalue > 1e-4


@pytest.mark.parametrize("width", [5, 256, 257, 1000])
def test_every_token_has_its_share_of_all_numbers(width):
    """Of a grid of numbers, each token takes as many as its probability says, and none without."""
    rng = np.random.default_rng(0)
    masses = rng.random((2, width)) ** 6 * (rng.random((2, width)) < 0.7)
    steps = 250
    grid = (np.arange(steps) + 0.5) / steps
    pairs = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    numbers = torch.from_numpy(np.stack([pairs, pairs])).split(5000, 1)
    found = torch.cat([pick(torch.from_numpy(masses), part) for part in numbers], 1)
    for row, tokens in zip(masses / masses.sum(-1, keepdims=True), found, strict=True):
        shares = np.bincount(tokens.numpy(), minlength=width) / len(pairs)
        assert shares[row == 0].sum() == 0
        np.testing.assert_allclose(shares, row, atol=2 / steps)


def test_the_ends_of_the_numbers_draw_tokens_that_can_come():
    masses = torch.zeros(1, 600)
    masses[0, [3, 300, 520]] = 1 / 3
    ends = torch.tensor([[[0.0, 0.0], [1 - 2**-53, 1 - 2**-53]]], dtype=torch.float64)
    assert pick(masses, ends).tolist() == [[3, 520]]


# ----------------------------------------------------------------------------- what is not covered


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
