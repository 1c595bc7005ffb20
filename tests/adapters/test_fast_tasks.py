"""Whole tasks with calib-hf: answers and confidences of the stock ``hf`` back end, every form."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lm_eval.models.huggingface import HFLM

from calib_adapters.serving.model import CalibHFLM
from calib_adapters.training.base_model import add_lora, load_base, save_adapter
from calib_adapters.training.schema import Lora
from harness_tasks.elicitation.records import read_samples
from harness_tasks.templates.write import write_task
from helpers.adapters_common import tiny_model
from helpers.task_runs import TASKS, run
from helpers.template_rows import PAIRS, jsonl

CPU = {"device": "cpu", "dtype": "float32"}
METHODS = [
    "likelihood", "zero_shot_classifier", "question_only", "p_ik", "verbalized", "linguistic",
]  # fmt: skip
CPU_CONFIG = Path(__file__).parents[2] / "adapters" / "accelerate" / "cpu.yaml"
WORLDFACTS = ["calib_worldfacts", "calib_worldfacts_mc", "calib_worldfacts_cloze"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, embedded_model_path):
    """The tiny model, whose answers end."""
    return tiny_model(tmp_path_factory.mktemp("tiny"), embedded_model_path, line_ends=5.0)


@pytest.fixture(scope="module")
def stock(tiny):
    return HFLM(tiny, batch_size=4, **CPU)


@pytest.fixture
def ours_only(monkeypatch):
    """The stock code paths raise: what still runs is covered by ours."""

    def forbid():
        def refuse(*args, **kwargs):
            raise AssertionError("the stock back end was asked")

        monkeypatch.setattr(HFLM, "generate_until", refuse)
        monkeypatch.setattr(HFLM, "_loglikelihood_tokens", refuse)

    return forbid


def ask(model, tasks=WORLDFACTS, include=TASKS / "worldfacts", metadata=None, **options):
    metadata = {"methods": METHODS, **(metadata or {})}
    return run(*tasks, include=include, model=model, metadata=metadata, **{"limit": 4, **options})


def near(value):
    """`value` to be compared with: texts and truth values as they are, numbers within 1e-4."""
    if isinstance(value, float):
        return pytest.approx(value, abs=1e-4)
    return [near(part) for part in value] if isinstance(value, (list, tuple)) else value


def check_same(found, expected):
    """Prompts, answers and replies are identical, log-likelihoods and confidences within 1e-4."""
    assert found["samples"].keys() == expected["samples"].keys()
    for task, samples in expected["samples"].items():
        assert len(found["samples"][task]) == len(samples) > 0
        for one, other in zip(found["samples"][task], samples, strict=True):
            assert one["arguments"] == other["arguments"]
            assert [list(map(list_of, part)) for part in one["resps"]] == near(
                [list(map(list_of, part)) for part in other["resps"]]
            )
            record = getattr(other["filtered_resps"][0], "data", {})
            for name, value in record.items():
                assert one["filtered_resps"][0].data[name] == near(value)


def list_of(response):
    return list(response) if isinstance(response, tuple) else response


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("shots", [0, 3])
def test_every_form_of_worldfacts(tiny, stock, ours_only, shots, chat):
    options = {"num_fewshot": shots, "apply_chat_template": chat}
    expected = ask(stock, **options)
    ours_only()
    for size in (1, 7, 32) if (shots, chat) == (3, False) else ("auto",):
        check_same(ask(CalibHFLM(tiny, batch_size=size, **CPU), **options), expected)


def test_tasks_of_other_data_sets(tiny, stock, hub):
    """Options as words, as letters and as pieces of one sentence; answers out of reasoning."""
    tasks = ["calib_boolq_mc", "calib_mmlu_pooled_mc", "calib_winogrande_mc", "calib_gsm8k"]
    folders = [TASKS / name for name in ("boolq", "mmlu", "winogrande", "gsm8k")]
    roman = {"wording": "roman_choice", "reasoning_tokens": 8}
    expected = ask(stock, tasks, folders, metadata=roman, limit=2)
    check_same(
        ask(CalibHFLM(tiny, batch_size="auto", **CPU), tasks, folders, metadata=roman, limit=2),
        expected,
    )


def test_tasks_from_templates(tiny, stock, ours_only, tmp_path):
    """Labels to be classified, texts to be written, and options of several words."""
    questions = [
        {"question": "Do pigs fly?", "correct_answers": ["No", "They do not"],
         "incorrect_answers": ["Yes", "They do at night"]},
    ]  # fmt: skip
    labels = [{"text": "I love it", "label": "good"}, {"text": "I hate it", "label": "very bad"}]
    tables = {"general": PAIRS, "truthfulqa": questions, "classification": labels}
    for name, rows in tables.items():
        write_task(name, jsonl(tmp_path / f"{name}.jsonl", rows), tmp_path / f"my_{name}")
    tasks = ["my_general", "my_truthfulqa_mc1", "my_truthfulqa_mc2", "my_classification"]
    expected = run(*tasks, include=tmp_path, model=stock)
    ours_only()
    check_same(
        run(*tasks, include=tmp_path, model=CalibHFLM(tiny, batch_size="auto", **CPU)), expected
    )


def test_under_an_adapter_the_numbers_are_the_adapters(tiny, tmp_path):
    torch.manual_seed(0)
    model = add_lora(load_base(tiny, "float32", torch.device("cpu")), Lora(r=4), tiny)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    save_adapter(model, tiny, tmp_path)
    adapted = {"peft": str(tmp_path), **CPU}
    expected = ask(HFLM(tiny, batch_size=4, **adapted), WORLDFACTS[:1])
    check_same(ask(CalibHFLM(tiny, batch_size="auto", **adapted), WORLDFACTS[:1]), expected)


def test_sampled_tasks_take_their_numbers_from_the_passes_that_wrote_the_samples(
    tiny, ours_only, monkeypatch
):
    """Weighed samples and reasoning paths: nothing is asked of the stock back end."""
    ours_only()
    methods = {"methods": ["sampling", "semantic_entropy", "self_consistency"], "k": 3}
    metadata = {**methods, "weighting": "likelihood", "reasoning_tokens": 8}
    lm = CalibHFLM(tiny, batch_size="auto", **CPU)
    found = ask(lm, WORLDFACTS[:1], metadata=metadata, limit=3)
    samples = [
        row["filtered_resps"][0].data for row in found["samples"]["calib_worldfacts"]
        if row["filter"] == "sampling"
    ]  # fmt: skip
    assert [len(record["samples"]) for record in samples] == [3, 3, 3]


# ----------------------------------------------------------------------------------- two processes


# lm-eval lists the installed packages after every run, which takes seconds.
NO_PACKAGE_LIST = """
import lm_eval.evaluator
import calibench.cli
lm_eval.evaluator.add_env_info = lambda results: None
calibench.cli.main()
"""


def test_two_processes_have_the_records_of_one(tiny, stock, tmp_path):
    # Three questions of each task, so that one rank is a question short, where lm-eval pads with
    # repeated requests. Methods of one, two and three turns, and samples that methods share.
    same = ["likelihood", "zero_shot_classifier", "verbalized", "cot_verbalized"]
    drawn = ["distinct_answers", "semantic_clusters"]
    chosen = {"methods": [*same, *drawn], "k": 2, "reasoning_tokens": 4, "reply_tokens": 12}
    script = tmp_path / "run.py"
    script.write_text(NO_PACKAGE_LIST)
    command = [
        Path(sys.executable).parent / "accelerate", "launch", "--config_file", CPU_CONFIG,
        "--num_processes", "2", "--main_process_port", "0", script,
        "eval", "--model", "calib-hf", "--tasks", ",".join(WORLDFACTS[:2]), "--device", "cpu",
        "--model_args", f"pretrained={tiny},dtype=float32", "--limit", "3", "--log_samples",
        "--batch_size", "auto", "--output_path", tmp_path, "--metadata", json.dumps(chosen),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "on rank 1" in done.stderr + done.stdout
    found = {}
    for file in tmp_path.rglob("samples_calib_worldfacts*.jsonl"):
        for row, record in read_samples(file):
            found[record["task"], row["filter"], row["doc_id"]] = record
    assert len(found) == 2 * 3 * len(chosen["methods"])
    expected = ask(stock, WORLDFACTS[:2], metadata=chosen, limit=3)
    for task in WORLDFACTS[:2]:
        for row in expected["samples"][task]:
            record, other = (
                row["filtered_resps"][0].data, found[task, row["filter"], row["doc_id"]]
            )  # fmt: skip
            assert other["answer"] == record["answer"]
            if row["filter"] in drawn:
                texts = other.get("samples") or sum((c["texts"] for c in other["clusters"]), [])
                assert 1 <= len(texts) <= 2
            else:
                assert other.get("reasoning") == record.get("reasoning")
                assert other["reason"] == record["reason"]
                assert other["confidence"] == near(record["confidence"])
