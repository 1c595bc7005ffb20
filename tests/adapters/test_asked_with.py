"""Training sees the tokens with which the model is asked, whatever options decide them."""

import json
import shutil

import datasets
import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from calib_adapters.calibration.encode import encode_rows
from calib_adapters.data.asked_with import asked_with, read_asked_with
from calib_adapters.data.grade import grade
from calib_adapters.data.prepare import Choices, prepare
from calib_adapters.supervised import encode as supervised
from calib_adapters.training.schema import PromptData
from calib_adapters.training.tokenizer import load_tokenizer
from harness_tasks.elicitation.tokenizer_check import tokenizer_check
from helpers.adapters_common import prepared_row
from helpers.graded_runs import record, write_run

CPU = {"device": "cpu", "dtype": "float32", "batch_size": 1}


def with_processor(folder, base, single):
    """A copy of `base` whose tokenizer puts BOS (1) and end (2) tokens where `single` says."""
    shutil.copytree(base, folder)
    tokenizer = AutoTokenizer.from_pretrained(base)
    named = {"<|im_start|>": 1, "<|im_end|>": 2}
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=single, special_tokens=list(named.items())
    )
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def beginning(tmp_path_factory, tiny):
    return with_processor(tmp_path_factory.mktemp("bos") / "model", tiny, "<|im_start|> $A")


@pytest.fixture(scope="module")
def ending(tmp_path_factory, tiny):
    return with_processor(tmp_path_factory.mktemp("eos") / "model", tiny, "$A <|im_end|>")


@pytest.mark.parametrize("add", [None, True, False])
def test_graded_and_prepared_rows_have_the_tokens_that_lm_eval_asks_with(beginning, add):
    lm = HFLM(beginning, **CPU, **({} if add is None else {"add_bos_token": add}))
    tokenizer = load_tokenizer(beginning, asked_with({"add_bos_token": add}))
    graded = record("Peru")
    (row,) = encode_rows(datasets.Dataset.from_list([graded]), tokenizer)
    context, yes = lm._encode_pair(graded["query"], graded["yes"])
    assert row["input_ids"] + [row["yes"]] == context + yes
    assert row["answer_ids"] == lm.tok_encode(graded["context"] + graded["answer_text"])
    assert (row["input_ids"][0] == 1) is (add is not False)

    prepared = {**prepared_row(0, "train"), "answers": None}
    rows = datasets.Dataset.from_list([prepared])
    (encoded,) = supervised.encode_rows(rows, tokenizer, PromptData())
    context, completion = lm._encode_pair(prepared["prompt"], prepared["completion"])
    assert encoded["input_ids"] == context + completion


def test_what_the_model_was_asked_with_is_recorded_and_read_back(tmp_path):
    run = write_run(tmp_path / "run", [record("Peru"), record("Chad", split="validation")])
    (results,) = run.glob("results_*.json")
    given = {
        "pretrained": "/models/base",
        "add_bos_token": False,
        "dtype": "float32",
        "revision": "v2",
        "tokenizer": "/models/other",
    }
    results.write_text(json.dumps({"config": {"model_args": given}}))
    grade([run], tmp_path / "graded")
    assert read_asked_with(tmp_path / "graded") == {
        "add_bos_token": False,
        "revision": "v2",
        "tokenizer": "/models/other",
    }
    text = "pretrained=/models/base,add_bos_token=False,revision=main"
    assert asked_with(text) == {"add_bos_token": False}


def test_runs_that_were_asked_in_two_ways_are_refused(tmp_path):
    one = write_run(tmp_path / "one", [record("Peru")])
    two = write_run(tmp_path / "two", [record("Chad")])
    (results,) = two.glob("results_*.json")
    given = {"pretrained": "/models/base", "add_bos_token": True}
    results.write_text(json.dumps({"config": {"model_args": given}}))
    with pytest.raises(
        ValueError, match="add_bos_token=True, that of another file with the model's own"
    ):
        grade([one, two], tmp_path / "graded")


def test_answers_of_an_adapted_model_are_not_trained_on(tmp_path):
    run = write_run(tmp_path / "run", [record("Peru")])
    (results,) = run.glob("results_*.json")
    given = {"pretrained": "/models/base", "peft": "adapter"}
    results.write_text(json.dumps({"config": {"model_args": given}}))
    grade([run], tmp_path / "graded")
    with pytest.raises(ValueError, match="loaded with peft=adapter.*Merge"):
        read_asked_with(tmp_path / "graded")


def test_prepare_records_how_the_model_will_be_asked(tmp_path):
    rows = [json.dumps({"prompt": f"{i}?", "completion": f" {i}"}) for i in range(200)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    prepare(
        [str(tmp_path / "rows.jsonl")],
        tmp_path / "data",
        Choices(model_args="add_bos_token=True,dtype=float32"),
    )
    assert read_asked_with(tmp_path / "data") == {"add_bos_token": True}


def test_an_end_token_behind_every_text_is_refused_by_training_and_evaluation(ending, tiny):
    with pytest.raises(ValueError, match="ends every text with '<|im_end|>'.*add_eos_token"):
        load_tokenizer(ending, {})
    asked = [Instance("tokenizer_check", {}, (), 0, ("calib_x", 0, 1))]
    with pytest.raises(ValueError, match="calib_x: .*ends every text"):
        tokenizer_check(HFLM(ending, **CPU), asked)
    assert tokenizer_check(HFLM(tiny, **CPU), asked) == [True]
    assert load_tokenizer(ending, {"add_bos_token": False})  # asks without special tokens
