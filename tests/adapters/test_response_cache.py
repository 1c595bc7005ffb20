"""``--use_cache``: a run finds the responses of its own model, and of no other one."""

import shutil

import pytest
import torch
from lm_eval.models.huggingface import HFLM
from transformers import LlamaForCausalLM

import harness_tasks.elicitation.response_cache as response_cache
from calib_adapters.serving.model import CalibHFLM
from calib_adapters.training.base_model import add_lora, load_base, save_adapter
from calib_adapters.training.schema import Lora
from helpers.adapters_common import tiny_model
from helpers.transparent_model import Transparent, evaluate

CPU = {"device": "cpu", "dtype": "float32", "batch_size": 4}
METHODS = ["likelihood", "zero_shot_classifier", "verbalized", "sampling"]


@pytest.fixture(autouse=True)
def no_package_list(monkeypatch):
    """lm-eval lists the installed packages after every run, which takes seconds."""
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, embedded_model_path):
    """The tiny model, whose answers end."""
    return tiny_model(tmp_path_factory.mktemp("tiny"), embedded_model_path, line_ends=5.0)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, tiny):
    """A LoRA adapter with random weights."""
    folder = tmp_path_factory.mktemp("adapter")
    write_adapter(folder, tiny, seed=0)
    return str(folder)


def write_adapter(folder, base, seed):
    torch.manual_seed(seed)
    lora = Lora(r=4, dropout=0.0)
    model = add_lora(load_base(base, "float32", torch.device("cpu")), lora, base)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    save_adapter(model, base, folder)


def confidences(model, cache=None, task="calib_worldfacts", methods=METHODS):
    torch.manual_seed(0)
    metadata = {"methods": methods, "k": 3, "reply_tokens": 8}
    _, samples = evaluate(
        task,
        model,
        metadata=metadata,
        limit=3,
        use_cache=cache and str(cache),
        torch_random_seed=1,
    )
    return [
        (s["filter"], record["id"], record["answer"], record["confidence"], record.get("samples"))
        for s in samples
        for record in [s["filtered_resps"][0]]
    ]


@pytest.mark.parametrize(
    "kind, task", [(HFLM, "calib_worldfacts"), (CalibHFLM, "calib_worldfacts_mc")]
)
def test_an_adapted_run_after_the_base_run_is_as_without_a_cache(
    kind, task, tiny, adapter, tmp_path
):
    base = confidences(kind(tiny, **CPU), tmp_path / "db", task)
    found = confidences(kind(tiny, peft=adapter, **CPU), tmp_path / "db", task)
    assert found == confidences(kind(tiny, peft=adapter, **CPU), None, task)
    assert found != base


def test_a_confidence_adapter_after_the_base_run_is_as_without_a_cache(tiny, adapter, tmp_path):
    base = confidences(CalibHFLM(tiny, **CPU), tmp_path / "db")
    found = confidences(CalibHFLM(tiny, confidence_adapter=adapter, **CPU), tmp_path / "db")
    alone = confidences(CalibHFLM(tiny, confidence_adapter=adapter, **CPU))
    assert found == alone
    assert found != base


class Counting(HFLM):
    """Counts the requests that reach the model, and keeps what it samples."""

    asked = 0
    sampled: list = []

    def _loglikelihood_tokens(self, requests, **options):
        type(self).asked += len(requests)
        return super()._loglikelihood_tokens(requests, **options)

    def generate_until(self, requests, **options):
        type(self).asked += len(requests)
        texts = super().generate_until(requests, **options)
        type(self).sampled += [
            (request.args[0], text)
            for request, text in zip(requests, texts, strict=True)
            if request.args[1].get("do_sample")
        ]
        return texts


def test_the_same_model_finds_all_its_responses_and_samples_anew(tiny, tmp_path):
    Counting.asked = 0
    first = confidences(Counting(tiny, **CPU), tmp_path / "db")
    Counting.asked, Counting.sampled = 0, []
    again = confidences(Counting(tiny, **CPU | {"batch_size": 2}), tmp_path / "db")
    assert Counting.asked == 3 * 3  # the samples, three of each question
    unsampled = [row for row in first if row[0] != "sampling"]
    assert [row for row in again if row[0] != "sampling"] == unsampled
    drawn: dict[str, set[str]] = {}
    for prompt, text in Counting.sampled:
        drawn.setdefault(prompt, set()).add(text)
    assert len(drawn) == 3 and max(map(len, drawn.values())) == 3


def test_weights_that_changed_in_their_folder_are_another_model(tiny, adapter, tmp_path):
    folder = tmp_path / "adapter"
    shutil.copytree(adapter, folder)
    before = confidences(HFLM(tiny, peft=str(folder), **CPU), tmp_path / "db")
    write_adapter(folder, tiny, seed=1)  # trained again, into the same folder
    after = confidences(HFLM(tiny, peft=str(folder), **CPU), tmp_path / "db")
    assert after == confidences(HFLM(tiny, peft=str(folder), **CPU))
    assert after != before


def test_one_changed_weight_is_another_identity(tiny):
    one, other = (HFLM(LlamaForCausalLM.from_pretrained(tiny), tokenizer=tiny) for _ in range(2))
    assert response_cache.model_identity(one) == response_cache.model_identity(other)
    with torch.no_grad():
        other.model.model.embed_tokens.weight[7, 3] += 1e-3
    assert response_cache.model_identity(one) != response_cache.model_identity(other)


@pytest.fixture(scope="module")
def plain(tiny):
    """The identity of the tiny model, without further options."""
    return response_cache.model_identity(HFLM(tiny, **CPU))


@pytest.mark.parametrize(
    "options",
    [
        {"add_bos_token": True},
        {"dtype": "bfloat16"},
        {"softmax_dtype": "float64"},
        {"max_length": 64},
        {"prefix_token_id": 5},
        {"chat_template_args": {"a": 1}},
    ],
)
def test_options_that_decide_a_response_are_part_of_the_identity(plain, tiny, options):
    assert plain != response_cache.model_identity(HFLM(tiny, **{**CPU, **options}))


def test_the_batch_size_is_not_part_of_the_identity(plain, tiny):
    assert plain == response_cache.model_identity(HFLM(tiny, **{**CPU, "batch_size": 1}))


def test_entries_that_lm_eval_wrote_by_itself_are_not_read(tiny, tmp_path, monkeypatch):
    from lm_eval.api.model import CachingLM

    for kind in response_cache.CACHED:  # as it is without us
        monkeypatch.delattr(CachingLM, kind)
    stock = confidences(HFLM(tiny, **CPU), tmp_path / "db", methods=["zero_shot_classifier"])
    monkeypatch.undo()
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
    Counting.asked = 0
    found = confidences(Counting(tiny, **CPU), tmp_path / "db", methods=["zero_shot_classifier"])
    assert found == stock and Counting.asked == 10  # the trial, three answers, six replies


def test_nothing_is_read_for_a_model_that_does_not_say_what_it_is(tmp_path, caplog):
    for word in ("first", "second"):
        model = Transparent()
        model.hidden = object()
        rows = confidences(model, tmp_path / "db", methods=["verbalized"])
        assert model.prompts, word
    assert "cannot be identified" in caplog.text
    assert rows
