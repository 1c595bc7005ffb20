"""Samples of calib-hf's fast paths: the frequencies of `generate`, decided by the seed."""

from collections import Counter

import numpy as np
import pytest
import torch
from lm_eval.models.huggingface import HFLM
from scipy.stats import chi2, kstest

from calib_adapters.serving.fast.draws import numbers_of, pick
from calib_adapters.serving.model import CalibHFLM
from helpers.fast_requests import QUESTIONS, check_scores, generations

CPU = {"device": "cpu", "dtype": "float32"}


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
