"""Prepared data sets made of tasks: their prompts and their splits; and the command."""

import json
from collections import Counter

import pytest
from click.testing import CliRunner
from datasets import load_from_disk

from calib_adapters.data.prepare import Choices, load_prepared, prepare
from calib_adapters.data.prepare.tasks import TaskLoader
from calib_adapters.data.training_data import data_fingerprint
from calibench.cli import cli
from helpers.adapters_common import write_lines

TASK = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{{files}}}}}
output_type: multiple_choice
test_split: {scored}
description: "Answer.\\n\\n"
doc_to_text: "Q: {{{{q}}}}\\nA:"
doc_to_choice: "{{{{[a, b]}}}}"
doc_to_target: gold
metadata: {{version: 1}}
"""


def write_task(folder, name="two_options", scored="test", text=TASK, **splits):
    """A task folder whose splits hold the given documents."""
    folder.mkdir(exist_ok=True)
    files = {split: write_lines(folder / f"{split}.jsonl", docs) for split, docs in splits.items()}
    listed = ", ".join(f"{split}: '{file}'" for split, file in files.items())
    (folder / f"{name}.yaml").write_text(text.format(name=name, files=listed, scored=scored))
    return folder


def document(number, gold=0):
    return {"q": f"Number {number}?", "a": "left", "b": "right", "gold": gold}


# ------------------------------------------------------------------------------------------ tasks


@pytest.mark.parametrize("name", ["calib_worldfacts_mc", "calib_worldfacts"])
def test_prompts_and_completions_are_the_requests_of_lm_eval_without_examples(name, tmp_path):
    data, _ = prepare([name], tmp_path / "data", Choices(limits={"train": 5, "calibration": 5}))
    assert load_prepared(tmp_path / "data")[0]["test"].to_list() == data["test"].to_list()
    task = next(iter(TaskLoader()._near.load(name)["tasks"].values()))
    task.set_config("num_fewshot", 0)
    task.build_all_requests(limit=3, rank=0, world_size=1)
    asked = {}
    for request in task.instances:
        if request.request_type in ("loglikelihood", "generate_answer"):
            asked.setdefault(request.doc_id, []).append(request.args)
    for number, ours in enumerate(data["test"].select(range(3))):
        doc, requests = task.eval_docs[number], asked[number]
        assert {prompt for prompt, _ in requests} == {ours["prompt"]}
        assert ours["id"] == doc["id"]
        if name.endswith("_mc"):
            assert ours["options"] == [continuation for _, continuation in requests]
            assert ours["completion"] == ours["options"][doc["gold"]]
            assert ours["answers"] is None
        else:
            assert ours["completion"] == f" {doc['answers'][0]}"
            assert ours["answers"] == doc["answers"]
            assert ours["options"] is None


def test_the_splits_of_a_data_set_are_kept_and_calibration_is_cut_out_of_training(tmp_path):
    folder = write_task(
        tmp_path / "task",
        train=[document(n) for n in range(100)],
        validation=[document(n) for n in range(100, 110)],
        test=[document(n, gold=1) for n in range(110, 120)],
    )
    choices = Choices(include_path=folder)
    data, described = prepare(["two_options"], tmp_path / "data", choices)
    numbers = {
        role: {int(prompt.split()[3].rstrip("?")) for prompt in data[role]["prompt"]}
        for role in data
    }
    assert numbers["validation"] == set(range(100, 110))
    assert numbers["test"] == set(range(110, 120))
    assert numbers["train"] | numbers["calibration"] == set(range(100))
    assert not numbers["train"] & numbers["calibration"]
    assert data["test"][0]["prompt"] == "Answer.\n\nQ: Number 110?\nA:"
    assert data["test"][0]["options"] == [" left", " right"]
    assert data["test"]["completion"] == [" right"] * 10
    assert described["sources"][0]["splits"]["train"] == {
        "roles": ["train", "calibration"],
        "divided": True,
    }


def test_a_single_split_is_divided_and_the_test_rows_can_be_named_to_lm_eval(tmp_path):
    folder = write_task(tmp_path / "task", test=[document(n, gold=n % 2) for n in range(200)])
    data, described = prepare(["two_options"], tmp_path / "data", Choices(include_path=folder))
    assert set(data) == {"train", "validation", "calibration", "test"}
    assert sum(len(data[role]) for role in data) == 200
    assert described["sources"][0]["splits"]["test"]["divided"]
    samples = json.loads((tmp_path / "data" / "test_samples.json").read_text())
    manager = TaskLoader(folder)._near
    task = manager.load("two_options")["tasks"]["two_options"]
    named = [task.doc_to_text(doc) for _, doc in task.doc_iterator(samples=samples["two_options"])]
    assert [f"Answer.\n\n{text}" for text in named] == data["test"]["prompt"]


def test_the_rows_of_a_scored_split_that_is_divided_again_can_all_be_named(tmp_path):
    folder = write_task(tmp_path / "task", test=[document(n, gold=n % 2) for n in range(200)])
    choices = Choices(include_path=folder, redivide=True)
    data, _ = prepare(["two_options"], tmp_path / "data", choices)
    for role in ("train", "validation", "test"):
        samples = json.loads((tmp_path / "data" / f"{role}_samples.json").read_text())
        named = [f"Answer.\n\nQ: Number {n}?\nA:" for n in samples["two_options"]]
        assert named == data[role]["prompt"]


def test_one_question_in_two_forms_stands_in_one_split(tmp_path):
    tasks = ["calib_worldfacts", "calib_worldfacts_mc"]
    data, _ = prepare(tasks, tmp_path / "data", Choices(redivide=True))
    home = {}
    for role in data:
        for one in data[role]:
            question = one["prompt"].split("\n")[0]
            assert home.setdefault(question, role) == role
    assert Counter(home.values()).keys() == {"train", "validation", "calibration", "test"}


def test_training_on_the_scored_split_is_refused(tmp_path):
    folder = write_task(tmp_path / "task", train=[document(1)], test=[document(2)])
    choices = Choices(splits={"train": "test"}, include_path=folder)
    with pytest.raises(ValueError, match="scored on the split 'test'.*void.*--redivide"):
        prepare(["two_options"], tmp_path / "data", choices)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "choices",
    [
        {"shares": {"train": 0.8, "validation": 0.2}},  # no share for a test
        {"shares": {"train": 0.8, "validation": 0.2}, "redivide": True},
        {"splits": {"test": "dev"}},  # a test, but not on these rows
    ],
)
def test_a_scored_split_is_only_divided_if_a_part_of_it_is_the_test(choices, tmp_path):
    splits = {"test": [document(n) for n in range(40)], "dev": [document(n) for n in (90, 91)]}
    folder = write_task(tmp_path / "task", **splits)
    with pytest.raises(ValueError, match="which it is scored on; let the test be a part of it"):
        prepare(["two_options"], tmp_path / "data", Choices(include_path=folder, **choices))


def test_a_task_scored_on_its_validation_split_keeps_it_for_the_test(tmp_path):
    splits = {"train": [document(n) for n in range(40)], "validation": [document(99)]}
    folder = write_task(tmp_path / "task", scored="validation", **splits)
    data, _ = prepare(["two_options"], tmp_path / "data", Choices(include_path=folder))
    assert data["test"]["prompt"] == ["Answer.\n\nQ: Number 99?\nA:"]


def test_documents_without_an_answer_are_left_out_and_counted(tmp_path):
    documents = [document(n, gold=-1 if n < 7 else 0) for n in range(60)]
    folder = write_task(tmp_path / "task", test=documents)
    data, described = prepare(["two_options"], tmp_path / "data", Choices(include_path=folder))
    assert sum(len(data[role]) for role in data) == 53
    assert described["sources"][0]["left_out"] == {"test: no answer is given": 7}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("multiple_choice", "loglikelihood_rolling"), "of the type 'loglikelihood_rolling'"),
        (('"Q: {{{{q}}}}\\nA:"', '"{{{{gold}}}}"'), "one ending after several beginnings"),
    ],
)
def test_tasks_without_one_prompt_and_answer_are_refused(change, message, tmp_path):
    folder = write_task(tmp_path / "task", text=TASK.replace(*change), test=[document(1)])
    with pytest.raises(ValueError, match=message):
        prepare(["two_options"], tmp_path / "data", Choices(include_path=folder))


def test_a_split_that_is_not_there_is_named_with_those_that_are(tmp_path):
    folder = write_task(tmp_path / "task", train=[document(1)], test=[document(2)])
    choices = Choices(splits={"validation": "dev"}, include_path=folder)
    with pytest.raises(ValueError, match="no split 'dev'.*only train, test"):
        prepare(["two_options"], tmp_path / "data", choices)


# ---------------------------------------------------------------------------------------- command


def test_the_command_says_what_it_did_and_the_seed_alone_decides_the_rows(tmp_path):
    records = [{"prompt": f"{n}?", "completion": str(n)} for n in range(50)]
    file = str(write_lines(tmp_path / "sums.jsonl", [*records, records[0]]))
    outputs = []
    for name, seed in (("one", "0"), ("two", "0"), ("three", "1")):
        arguments = ["prepare", file, "-o", str(tmp_path / name), "--seed", seed]
        shares = ["--shares", "train=0.6,validation=0.4"]
        outputs.append(CliRunner().invoke(cli, arguments + shares, catch_exceptions=False).output)
    data = load_from_disk(str(tmp_path / "one"))
    assert f"train: {len(data['train'])} rows (sums {len(data['train'])})" in outputs[0]
    assert "1 rows left out" in outputs[0]
    assert "divided into train, validation" in outputs[0]
    prints = [data_fingerprint(tmp_path / name) for name in ("one", "two", "three")]
    assert prints[0] == prints[1] != prints[2]
    with pytest.raises(ValueError, match="exists already"):
        prepare([file], tmp_path / "one")


def test_a_misspelt_option_value_is_shown(tmp_path):
    arguments = ["prepare", "x.jsonl", "-o", str(tmp_path / "d"), "--limit", "train=many"]
    result = CliRunner().invoke(cli, arguments)
    assert "--limit: 'train=many' cannot be used; write KEY=VALUE with a whole number" in str(
        result.exception
    )


def test_a_folder_of_another_kind_is_no_prepared_data_set(tmp_path):
    with pytest.raises(ValueError, match="not a prepared data set.*calibench prepare"):
        load_prepared(tmp_path)
