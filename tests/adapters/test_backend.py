"""The back end calib-hf: adapters that only judge, probes, ensembles, dropout left on."""

import math

import numpy as np
import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import CachingLM
from lm_eval.models.huggingface import HFLM
from peft import PeftModel
from transformers import AutoTokenizer, LlamaForCausalLM

from calib_adapters.calibration.head import CorrectnessHead
from calib_adapters.serving.model import CalibHFLM, mixture
from calib_adapters.training.base_model import add_lora, load_base, save_adapter
from calib_adapters.training.schema import Lora
from harness_tasks.elicitation.registry import METHODS
from harness_tasks.elicitation.settings import OF_SIMILARITIES, OF_TOKENS, parse_settings
from helpers.adapters_common import tiny_model
from helpers.task_runs import write_samples
from helpers.transparent_model import Transparent, evaluate

CPU = {"device": "cpu", "dtype": "float32", "batch_size": 4}
PAIRS = [("Capital of Peru?", " Lima"), ("Capital of Peru?", " Rome"), ("2 + 2 =", " 4, surely")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, embedded_model_path):
    """The tiny model, whose answers end."""
    return tiny_model(tmp_path_factory.mktemp("tiny"), embedded_model_path, line_ends=5.0)


def requests(pairs=PAIRS, kind="loglikelihood"):
    return [Instance(kind, {}, pair, i) for i, pair in enumerate(pairs)]


def logprobs(lm, kind="loglikelihood"):
    return [logprob for logprob, _ in lm.loglikelihood(requests(kind=kind))]


def ask(model, methods, task="calib_worldfacts", use_cache=None, **metadata):
    return evaluate(
        task,
        model,
        metadata={"methods": methods, "k": 2, **metadata},
        limit=3,
        predict_only=True,
        use_cache=use_cache,
    )[1]


def of(samples, method):
    return [s["filtered_resps"][0].data for s in samples if s["filter"] == method]


def values(records, *fields):
    return [tuple(record[field] for field in fields) for record in records]


def check_same(found, expected):
    """Records of two runs: the same in all but the last digits of what comes from logits."""
    numbers = {"confidence": None, "mass": None, "other_mass": None}
    assert [{**r, **numbers} for r in found] == [{**r, **numbers} for r in expected]
    for name in numbers:
        assert [r.get(name) for r in found] == [
            None if r.get(name) is None else pytest.approx(r[name], abs=1e-4) for r in expected
        ]


# -------------------------------------------------------------------------- confidence_adapter


@pytest.mark.parametrize("task", ["calib_worldfacts", "calib_worldfacts_mc"])
def test_the_base_answers_and_the_adapter_judges_in_one_run(tiny, adapters, task, tmp_path):
    methods = ["likelihood", "zero_shot_classifier", "verbalized"]
    base = ask(HFLM(tiny, **CPU), methods, task)
    both = ask(CalibHFLM(tiny, confidence_adapter=adapters[0], **CPU), methods, task)
    for method in ("likelihood", "verbalized"):  # what is not asked yes or no is the base model's
        check_same(of(both, method), of(base, method))
    frozen = write_samples({"samples": {task: base}}, task, tmp_path)
    judged = ask(HFLM(tiny, peft=adapters[0], **CPU), methods[1:2], task, answers=str(frozen))
    asked = of(both, methods[1])
    check_same(asked, of(judged, methods[1]))
    compared = [
        pair
        for pair in zip(asked, of(base, methods[1]), strict=True)
        if pair[0]["confidence"] is not None  # its answer was cut
    ]
    assert len(compared) >= 2
    for record, unadapted in compared:
        assert record["query"] == unadapted["query"]
        assert abs(record["confidence"] - unadapted["confidence"]) > 1e-3


def test_samples_are_drawn_and_weighed_by_the_base(tiny, adapters):
    def sampled(model):
        torch.manual_seed(0)
        return of(ask(model, ["sampling"], weighting="likelihood"), "sampling")

    adapted = CalibHFLM(tiny, confidence_adapter=adapters[0], **CPU)
    check_same(sampled(adapted), sampled(CalibHFLM(tiny, **CPU)))


def test_an_adapter_and_a_probe_serve_one_run(tiny, adapters, probe):
    methods = ["zero_shot_classifier", "probe"]
    both = ask(CalibHFLM(tiny, confidence_adapter=adapters[0], probe=probe, **CPU), methods)
    only = ask(CalibHFLM(tiny, probe=probe, **CPU), ["probe"])
    assert of(both, "probe") == of(only, "probe")
    alone = ask(CalibHFLM(tiny, confidence_adapter=adapters[0], **CPU), methods[:1])
    assert of(both, methods[0]) == of(alone, methods[0])


# --------------------------------------------------------------------------------------- probe


def test_the_probe_reads_the_base_models_state_at_the_answers_end(tiny, adapters, probe):
    lm = CalibHFLM(tiny, confidence_adapter=adapters[0], probe=probe, **CPU)
    records = of(ask(lm, ["probe"], temperature=2.0), "probe")
    context = of(ask(HFLM(tiny, **CPU), ["zero_shot_classifier"]), "zero_shot_classifier")
    model = LlamaForCausalLM.from_pretrained(tiny).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    head = CorrectnessHead(32, (16,))
    from safetensors.torch import load_file

    head.load_state_dict(load_file(f"{probe}/head.safetensors"))
    compared = [
        pair
        for pair in zip(records, context, strict=True)
        if pair[0]["confidence"] is not None  # its answer was cut
    ]
    assert len(compared) >= 2
    for record, asked in compared:
        assert record["answer"] == asked["answer"]
        text = asked["context"] + asked["answer_text"]
        ids = tokenizer(text, return_tensors="pt").input_ids
        with torch.no_grad():
            state = model(ids, output_hidden_states=True).hidden_states[-1][0, -1]
            wrong, correct = head.layers(state)
        expected = torch.sigmoid((correct - wrong) / 2.0).item()
        assert record["confidence"] == pytest.approx(expected, rel=1e-4)


def test_frozen_answers_are_probed_as_the_models_own(tiny, probe, tmp_path):
    lm = CalibHFLM(tiny, probe=probe, **CPU)
    own = ask(lm, ["probe"])
    frozen = write_samples({"samples": {"calib_worldfacts": own}}, "calib_worldfacts", tmp_path)
    again = of(ask(lm, ["probe"], answers=str(frozen)), "probe")
    assert values(again, "answer") == values(of(own, "probe"), "answer")
    check_same(again, of(own, "probe"))


@pytest.mark.parametrize("cached", [False, True])
def test_a_back_end_without_a_probe_says_so_before_it_answers(cached, tmp_path):
    model = Transparent()
    with pytest.raises(NotImplementedError, match="calib_worldfacts: .*--model calib-hf"):
        ask(model, ["probe"], use_cache=str(tmp_path / "cache") if cached else None)
    assert model.prompts == []


def test_all_methods_are_those_that_need_no_training_and_run_on_every_back_end():
    chosen = set(parse_settings("t", {"methods": "all"}).methods)
    assert chosen >= {"likelihood", "zero_shot_classifier", "verbalized", "sampling"}
    assert chosen < set(METHODS)
    assert not chosen & {"probe", "one_turn", "order_agreement", *OF_TOKENS, *OF_SIMILARITIES}


# ------------------------------------------------------------------------------------ ensemble


def test_an_ensemble_averages_probabilities_and_its_first_member_writes(tiny, adapters):
    members = [HFLM(tiny, peft=folder, **CPU) for folder in adapters[:2]]
    lm = CalibHFLM(tiny, ensemble="+".join(adapters[:2]), **CPU)
    each = np.array([logprobs(member) for member in members])
    np.testing.assert_allclose(logprobs(lm), np.log(np.exp(each).mean(0)), rtol=1e-5)
    assert not np.allclose(each[0], each[1], rtol=1e-2)
    texts = [Instance("loglikelihood_rolling", {}, (text,), i) for i, text in enumerate("ab")]
    each = np.array([member.loglikelihood_rolling(texts) for member in members])
    expected = np.log(np.exp(each).mean(0))
    np.testing.assert_allclose(lm.loglikelihood_rolling(texts), expected, rtol=1e-5)
    prompts = requests([("Once upon a", {"until": ["."], "max_gen_toks": 8})], "generate_until")
    assert lm.generate_until(prompts) == members[0].generate_until(prompts)
    assert lm.generate_until(prompts) != members[1].generate_until(prompts)


def test_a_mean_of_probabilities_survives_those_too_small_to_write_down():
    # (e^-2000 + e^-2001) / 2 = e^-2000 · (1 + e^-1) / 2
    found = mixture([[-2000.0, -math.inf, 0.0], [-2001.0, -math.inf, 0.0]])
    assert found == pytest.approx([-2000 + math.log((1 + math.exp(-1)) / 2), -math.inf, 0])


def test_a_cache_never_holds_one_members_scores(tiny, adapters, tmp_path, monkeypatch):
    lm = CalibHFLM(tiny, ensemble="+".join(adapters[:2]), **CPU)
    cached = CachingLM(lm, str(tmp_path / "cache.db"))
    run = CalibHFLM._loglikelihood_tokens
    calls = []

    def second_fails(self, *args, **kwargs):
        calls.append(0)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run(self, *args, **kwargs)

    monkeypatch.setattr(CalibHFLM, "_loglikelihood_tokens", second_fails)
    with pytest.raises(KeyboardInterrupt):
        cached.loglikelihood(requests())
    assert len(cached.dbdict) == 0
    expected = lm.loglikelihood(requests())
    assert cached.loglikelihood(requests()) == expected
    assert sorted(cached.dbdict.values()) == sorted(expected)


# ----------------------------------------------------------------------------------- mc_dropout


def by_hand(tiny, folder, rate, passes, seed, pair):
    """log of the mean over passes of p(continuation), with torch and PEFT alone."""
    model = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(tiny), folder).eval()
    for module in model.modules():
        for name in getattr(module, "lora_dropout", {}):
            module.lora_dropout[name] = torch.nn.Dropout(rate).train()
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    context, whole = (tokenizer(t, return_tensors="pt").input_ids for t in (pair[0], "".join(pair)))
    first, totals = context.shape[1], []
    for number in range(passes):
        torch.manual_seed(seed + number)
        with torch.no_grad():
            scores = model(whole[:, :-1]).logits[0].log_softmax(-1)
        targets = whole[0, first:]
        totals.append(scores[first - 1 :].gather(-1, targets[:, None]).sum().item())
    return np.log(np.exp(totals).mean()), totals


@pytest.mark.parametrize(("adapter", "rate"), [(2, None), (0, 0.2)])
def test_dropout_stays_on_in_n_passes_whose_probabilities_are_averaged(
    tiny, adapters, adapter, rate
):
    torch.manual_seed(7)
    lm = CalibHFLM(
        tiny,
        peft=adapters[adapter],
        mc_dropout=3,
        mc_dropout_rate=rate,
        **{**CPU, "batch_size": 1},
    )
    torch.manual_seed(99)
    pair = PAIRS[2]
    for _ in range(2):
        ((found, _),) = lm.loglikelihood(requests([pair]))
        expected, totals = by_hand(tiny, adapters[adapter], rate or 0.3, 3, 7, pair)
        assert found == pytest.approx(expected, rel=1e-4)
        assert len({round(total, 3) for total in totals}) == 3
    torch.manual_seed(99)
    expected = torch.rand(1)
    torch.manual_seed(99)
    lm.loglikelihood(requests([pair]))
    assert torch.rand(1) == expected  # sampling goes on as if nothing had been drawn


def test_texts_are_written_without_dropout(tiny, adapters):
    prompts = requests([("Once upon a", {"until": ["."], "max_gen_toks": 8})], "generate_until")
    plain = HFLM(tiny, peft=adapters[0], **CPU)
    dropping = CalibHFLM(tiny, peft=adapters[0], mc_dropout=2, mc_dropout_rate=0.9, **CPU)
    dropping.loglikelihood(requests())
    assert dropping.generate_until(prompts) == plain.generate_until(prompts)


def test_dropout_in_a_confidence_adapter_leaves_the_base_models_scores(tiny, adapters):
    lm = CalibHFLM(tiny, confidence_adapter=adapters[0], mc_dropout=2, mc_dropout_rate=0.5, **CPU)
    assert logprobs(lm) == logprobs(HFLM(tiny, **CPU))
    query = "loglikelihood_after_generate_until"
    assert logprobs(lm, query) != logprobs(HFLM(tiny, peft=adapters[0], **CPU))


# ----------------------------------------------------------------------------------- output head


@pytest.mark.parametrize("option", ["peft", "confidence_adapter"])
def test_an_adapter_over_a_tied_output_head_is_served(tiny, tmp_path, option):
    lora = Lora(r=4, dropout=0.0, target_modules=("q_proj", "lm_head"))
    model = add_lora(load_base(tiny, "float32", torch.device("cpu")), lora, tiny).eval()
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    save_adapter(model, tiny, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    expected = []
    for prompt, text in PAIRS:
        whole, start = tokenizer(prompt + text).input_ids, len(tokenizer(prompt).input_ids)
        with torch.no_grad():
            logprobs_of = model(torch.tensor([whole])).logits[0].log_softmax(-1)
        expected.append(sum(logprobs_of[i - 1, whole[i]].item() for i in range(start, len(whole))))
    for fast in (True, False):
        lm = CalibHFLM(tiny, **{option: str(tmp_path)}, fast=fast, **CPU)
        found = logprobs(lm, "loglikelihood_after_generate_answer")
        assert found == pytest.approx(expected, abs=1e-3)
