"""Stock `lm_eval --model vllm` beside `hf`, in float32, with the embedded model on a CPU.

An engine takes a minute to start, so there are two: one caches prefixes, as vLLM does unless it is
told otherwise; the one for adapters does not.
"""

import gc
import os
from contextlib import contextmanager

import pytest
import torch
from lm_eval.api.registry import get_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness_tasks.elicitation.grading import first_line
from harness_tasks.elicitation.harness import request
from helpers.engines import EXACT, LIMIT, NEAR, TASK, ask, largest_differences, with_vllm
from helpers.task_runs import write_samples

pytestmark = [pytest.mark.nightly, with_vllm]
K = 10
CHAT_LIMIT = 10


@contextmanager
def engine(model, batch_size="auto", **options):
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB
    os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"  # torch has threads here already
    lm = get_model("vllm")(
        pretrained=str(model), dtype="float32", max_model_len=1024, enforce_eager=True,
        batch_size=batch_size, **options,
    )  # fmt: skip
    try:
        yield lm
    finally:
        lm.model.llm_engine.engine_core.shutdown()
        del lm.model
        gc.collect()


@pytest.fixture(scope="module")
def of_hf(embedded_model_path):
    """Results and records of `hf`, by whether the chat template is applied."""
    options = {"pretrained": str(embedded_model_path), "dtype": "float32"}
    return {
        False: ask("hf", options, batch_size=20),
        True: ask("hf", options, batch_size=20, chat=True, shots=0, limit=CHAT_LIMIT),
    }


@pytest.fixture(scope="module")
def cached(embedded_model_path):
    with engine(embedded_model_path, enable_prefix_caching=True) as lm:
        yield lm


@pytest.fixture(scope="module")
def of_vllm(cached):
    """Results and records of all four methods, and how often the engine was called for them."""
    calls, own = [], cached._model_generate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cached, "_model_generate", lambda *a, **k: calls.append(1) or own(*a, **k))
        results, records = ask(cached, methods=[*EXACT, "sampling"], k=K)
    return results, records, len(calls)


def test_answers_and_confidences_are_those_of_hf(of_vllm, of_hf):
    records = {method: of_vllm[1][method] for method in EXACT}
    found = largest_differences(records, of_hf[False][1])
    print("vllm and hf, five examples:", found)
    assert found["verbalized"] == 0
    assert max(found.values()) < NEAR


def test_so_they_are_under_a_chat_template_without_examples(cached, of_hf):
    _, records = ask(cached, chat=True, shots=0, limit=CHAT_LIMIT)
    found = largest_differences(records, of_hf[True][1])
    print("vllm and hf, chat template:", found)
    assert found["verbalized"] == 0 and max(found.values()) < NEAR


def test_samples_have_the_probabilities_that_the_model_gives_them(of_vllm, embedded_model_path):
    """The greedy answer is drawn as often as its exact probability says, within 4 deviations.

    vLLM draws from all tokens; `hf` and calib-hf draw from the 50 likeliest.
    """
    model = AutoModelForCausalLM.from_pretrained(embedded_model_path, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(embedded_model_path)
    ends = torch.tensor([
        number == tokenizer.eos_token_id or tokenizer.decode([number]).startswith("\n")
        for number in range(model.config.vocab_size)
    ])  # fmt: skip
    arguments = {
        row["doc_id"]: [each for each in row["arguments"] if "temperature" in str(each)]
        for row in of_vllm[0]["samples"][TASK]
    }
    expected = variance = drawn = 0.0
    for row, record in of_vllm[1]["sampling"].items():
        (context, _), *_ = arguments[row]
        prompt = tokenizer(context).input_ids
        reply = tokenizer(context + " " + record["answer"]).input_ids[len(prompt) :]
        with torch.no_grad():
            logits = model(torch.tensor([prompt + reply])).logits[0].double().log_softmax(-1)
        said = sum(logits[len(prompt) - 1 + n, token] for n, token in enumerate(reply))
        p = float((said + logits[-1, ends].logsumexp(0)).exp())
        expected += K * p
        variance += K * p * (1 - p)
        drawn += sum(first_line(text) == record["answer"] for text in record["samples"])
    print(f"of {K * LIMIT} samples {drawn:.0f} are the greedy answer, expected {expected:.1f}")
    assert abs(drawn - expected) < 4 * variance**0.5


def test_the_prefix_cache_does_not_touch_what_is_scored(cached, of_vllm, of_hf):
    """Whatever order the second turns come in, and whatever was generated before them.

    Log-probabilities of prompts depended on that in some versions of vLLM; this one does not read
    the cache for them.
    """
    asked = [
        request("loglikelihood", (record["query"], record[reply]))
        for record in of_vllm[1]["zero_shot_classifier"].values()
        for reply in ("yes", "no")
    ]
    cached.model.reset_prefix_cache()
    first = [logprob for logprob, _ in cached.loglikelihood(asked)]
    again = [logprob for logprob, _ in cached.loglikelihood(asked[::-1])][::-1]
    cached.generate_until(
        [request("generate_until", (each.args[0], {"until": ["\n"]})) for each in asked[::2]]
    )
    warm = [logprob for logprob, _ in cached.loglikelihood(asked)]
    print("prefix cache:", max(abs(a - b) for a, b in zip(first * 2, again + warm, strict=True)))
    assert first == pytest.approx(again, abs=1e-5) and first == pytest.approx(warm, abs=1e-5)


def test_replicas_of_lm_eval_would_load_the_model_once_for_each_of_these_calls(of_vllm):
    """``data_parallel_size`` builds its engines anew in every call; README, "Past one machine"."""
    print("calls of the engine for four methods:", of_vllm[2])
    assert of_vllm[2] >= 5


def test_an_adapter_judges_the_base_models_answers(of_hf, embedded_model_path, tmp_path):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(embedded_model_path, dtype=torch.float32)
    layers = ["q_proj", "k_proj", "v_proj", "o_proj"]
    tuned = get_peft_model(model, LoraConfig(r=8, target_modules=layers, init_lora_weights=False))
    tuned.save_pretrained(tmp_path / "adapter")
    base, records = of_hf[False]
    write_samples(base, TASK, tmp_path)
    chosen = {"methods": ["zero_shot_classifier"], "answers": str(tmp_path)}
    peft = {"pretrained": str(embedded_model_path), "dtype": "float32", "batch_size": 20,
            "peft": str(tmp_path / "adapter")}  # fmt: skip
    _, expected = ask("hf", peft, **chosen)
    # One at a time: with an adapter, the CPU's kernels of 0.32 cannot take the log-probabilities of
    # several prompts together, and the engine dies.
    options = {"enable_prefix_caching": False, "lora_local_path": str(tmp_path / "adapter")}
    with engine(embedded_model_path, batch_size=1, **options) as lm:
        _, judged = ask(lm, **chosen)
    found = largest_differences(judged, expected)
    print("vllm and hf, adapter:", found)
    assert max(found.values()) < NEAR
    moved = [
        abs(record["confidence"] - records["zero_shot_classifier"][row]["confidence"])
        for row, record in judged["zero_shot_classifier"].items()
    ]
    assert max(moved) > 0.01  # the adapter was used at all
