"""Prepared data sets: what the model is shown, which rows train, and what is refused."""

import hashlib
import json
from collections import Counter

import pytest
from click.testing import CliRunner
from datasets import load_from_disk
from hypothesis import given, settings
from hypothesis import strategies as st

from calib_adapters.data.prepare import Choices, load_prepared, prepare
from calib_adapters.data.prepare.division import divide, leave_out_repeats, limit
from calib_adapters.data.prepare.row import Row
from calib_adapters.data.prepare.tasks import TaskLoader
from calib_adapters.data.training_data import data_fingerprint
from calibench.cli import cli

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


def write_lines(path, records):
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return path


def write_task(folder, name="two_options", scored="test", text=TASK, **splits):
    """A task folder whose splits hold the given documents."""
    folder.mkdir(exist_ok=True)
    files = {split: write_lines(folder / f"{split}.jsonl", docs) for split, docs in splits.items()}
    listed = ", ".join(f"{split}: '{file}'" for split, file in files.items())
    (folder / f"{name}.yaml").write_text(text.format(name=name, files=listed, scored=scored))
    return folder


def document(number, gold=0):
    return {"q": f"Number {number}?", "a": "left", "b": "right", "gold": gold}


def row(subject, completion="x", place=0, prompt=None):
    return Row(str(place), prompt or subject, completion, subject, place)


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


# ---------------------------------------------------------------------------------------- records


def prepared_record(tmp_path, record, **choices):
    """The row that a record becomes, among others that make up the two splits."""
    record = {"id": "wanted", **record}
    file = write_lines(tmp_path / "train.jsonl", [record])
    other = write_lines(tmp_path / "other.jsonl", [{"prompt": "p", "completion": "c"}])
    sources = [f"train={file}", f"validation={other}"]
    columns = choices.pop("columns", {})
    data, _ = prepare(sources, tmp_path / "data", Choices(columns=columns, **choices))
    return data["train"][0]


def test_dolly_records_become_a_conversation_with_the_context_below_the_instruction(tmp_path):
    record = {"instruction": "Who?", "context": "Ann sang.\n", "response": "Ann.", "category": "qa"}
    found = prepared_record(tmp_path, record)
    assert found["messages"] == [
        {"role": "user", "content": "Who?\n\nAnn sang."},
        {"role": "assistant", "content": "Ann."},
    ]
    assert (found["prompt"], found["completion"]) == ("Who?\n\nAnn sang.", "Ann.")
    assert (found["id"], found["task"], found["split"]) == ("wanted", tmp_path.name, "train")


def test_alpaca_records_may_have_no_input(tmp_path):
    found = prepared_record(tmp_path, {"instruction": "Sing.", "input": "", "output": "La."})
    assert found["prompt"] == "Sing."
    assert found["messages"][-1] == {"role": "assistant", "content": "La."}


def test_a_conversation_keeps_all_turns_and_trains_the_last_reply(tmp_path):
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
        {"role": "assistant", "content": "See you"},
    ]
    found = prepared_record(tmp_path, {"messages": turns})
    assert found["messages"] == turns
    assert (found["prompt"], found["completion"]) == ("Bye", "See you")


@pytest.mark.parametrize(
    ("prompt", "completion", "joined"),
    [("2+2=", "4", "2+2= 4"), ("2+2=\n", "4", "2+2=\n4"), ("2+2=", " 4", "2+2= 4")],
)
def test_a_delimiter_stands_only_where_there_is_no_white_space(
    prompt, completion, joined, tmp_path
):
    found = prepared_record(tmp_path, {"prompt": prompt, "completion": completion})
    assert found["prompt"] + found["completion"] == joined
    assert found["messages"] is None


def test_columns_can_have_other_names(tmp_path):
    columns = {"instruction": "ask", "output": "reply"}
    found = prepared_record(tmp_path, {"ask": "Why?", "reply": "So."}, columns=columns)
    assert (found["prompt"], found["completion"]) == ("Why?", "So.")


def test_a_file_is_divided_into_training_and_validation(tmp_path):
    records = [{"prompt": f"{n}?", "completion": str(n)} for n in range(400)]
    file = write_lines(tmp_path / "sums.jsonl", records)
    data, described = prepare([str(file)], tmp_path / "data")
    assert set(data) == {"train", "validation"}
    assert 20 <= len(data["validation"]) <= 60  # 40 expected, standard deviation 6
    facts = described["sources"][0]["files"]["rows"]
    assert facts["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert facts["format"] == "prompt_completion"


def test_files_of_one_folder_that_are_called_by_their_role_are_one_task(tmp_path):
    files = {
        role: write_lines(tmp_path / f"{role}.jsonl", [{"prompt": role, "completion": "c"}])
        for role in ("train", "validation", "test")
    }
    data, described = prepare([f"{r}={file}" for r, file in files.items()], tmp_path / "data")
    for role in files:
        assert data[role]["prompt"] == [role]
        assert data[role]["task"] == [tmp_path.name]
    assert [source["name"] for source in described["sources"]] == [tmp_path.name]
    with pytest.raises(ValueError, match="two files are called"):
        prepare([f"train={files['train']}", f"train={files['test']}"], tmp_path / "other")


BAD = [
    ({"prompt": "p", "completion": " "}, "row 2: the completion is empty"),
    ({"prompt": 5, "completion": "c"}, "row 2: the prompt is 5; a text is needed"),
    ({"prompt": "p \ud800", "completion": "c"}, "row 2: the prompt has half a character"),
    ({"messages": "hello"}, "row 2: the messages are neither a list nor JSON"),
    ({"messages": [{"role": "user", "content": "q"}]}, "not a list of at least a question and"),
    (
        {"messages": [{"role": "human", "content": "q"}, {"role": "assistant", "content": "a"}]},
        "message 1 has the role 'human'; known are system, user, assistant",
    ),
    (
        {"messages": [{"role": "assistant", "content": "q"}, {"role": "user", "content": "a"}]},
        "the last two messages are not a user's and the assistant's",
    ),
    (
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": ""}]},
        "message 2 \\(assistant\\) has no text",
    ),
]


@pytest.mark.parametrize(("record", "message"), BAD)
def test_unusable_records_are_refused_by_their_row_or_left_out_on_demand(record, message, tmp_path):
    if "messages" in record:
        good = {"messages": [{"role": role, "content": "x"} for role in ("user", "assistant")]}
    else:
        good = {"prompt": "x", "completion": "y"}
    file = write_lines(tmp_path / "train.jsonl", [good, record])
    other = write_lines(tmp_path / "other.jsonl", [{"prompt": "p", "completion": "c"}])
    sources = [f"train={file}", f"validation={other}"]
    with pytest.raises(ValueError, match=message):
        prepare(sources, tmp_path / "data")
    data, described = prepare(sources, tmp_path / "data", Choices(drop_unusable=True))
    assert len(data["train"]) == 1
    assert described["sources"][0]["left_out"] == {"train: cannot be used": 1}


def test_columns_of_no_known_format_are_listed_with_what_is_known(tmp_path):
    file = write_lines(tmp_path / "x.jsonl", [{"text": "hello"}])
    with pytest.raises(ValueError, match="has the columns text. Known are .*dolly.*--column"):
        prepare([str(file)], tmp_path / "data")


# --------------------------------------------------------------------------------------- division


def test_the_place_of_a_row_is_the_hash_of_seed_and_subject():
    shares = {"train": 0.5, "validation": 0.2, "test": 0.3}
    rows = [row(f"question {n}", place=n) for n in range(200)]
    divided = divide(rows, list(shares), shares, seed=7)
    for one in rows:
        digest = hashlib.sha256(f"7|{one.subject}".encode()).hexdigest()
        place = int(digest[:16], 16) / 16**16
        role = "train" if place < 0.5 else "validation" if place < 0.7 else "test"
        assert one in divided[role]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["train", "validation", "calibration", "test"]),
            st.sampled_from(["one", "two"]),
            st.sampled_from("abcdef"),
            st.sampled_from("xy"),
        ),
        max_size=40,
    )
)
def test_no_question_stands_in_two_splits_and_every_row_is_kept_or_counted(drawn):
    splits = {}
    for place, (role, source, subject, completion) in enumerate(drawn):
        splits.setdefault(role, {}).setdefault(source, []).append(row(subject, completion, place))
    kept, lost = leave_out_repeats(splits)
    subjects = {
        role: {one.subject for rows in by.values() for one in rows} for role, by in kept.items()
    }
    assert sum(map(len, subjects.values())) == len({one for s in subjects.values() for one in s})
    assert kept.get("test") == splits.get("test")  # never touched
    for role in set(kept) - {"test"}:
        contents = [one.content for rows in kept[role].values() for one in rows]
        assert len(contents) == len(set(contents))
    left = sum(len(rows) for by in kept.values() for rows in by.values())
    assert left + sum(sum(why.values()) for why in lost.values()) == len(drawn)


def test_training_gives_way_and_the_reason_is_counted(tmp_path):
    train = [{"prompt": p, "completion": "c"} for p in ("a", "b", "b", "d")]
    files = [
        f"train={write_lines(tmp_path / 'train.jsonl', train)}",
        f"validation={write_lines(tmp_path / 'v.jsonl', [{'prompt': 'd', 'completion': 'e'}])}",
    ]
    data, described = prepare(files, tmp_path / "data")
    assert data["train"]["prompt"] == ["a", "b"]
    assert described["sources"][0]["left_out"] == {
        "train: same as an earlier row": 1,
        "train: question is also in validation": 1,
    }


def test_a_limit_takes_a_sample_that_a_larger_limit_contains():
    rows = [row(f"question {n}", place=n) for n in range(100)]
    few, more = limit(rows, 10, seed=3), limit(rows, 30, seed=3)
    assert (len(few), len(more)) == (10, 30)
    assert set(few) < set(more)
    assert more == sorted(more, key=lambda one: one.place)
    assert few != rows[:10]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (Choices(shares={"train": 0.5, "validation": 0.2}), "must add up"),
        (Choices(shares={"train": 1}), "give validation a part"),
        (Choices(shares={"train": 0.5, "dev": 0.5}), "'dev' is not one of train"),
        (Choices(limits={"train": 0}), "at least one row"),
        (Choices(splits={"train": "a"}, redivide=True), "give one of them"),
        (Choices(columns={"answer": "x"}), "there is no such column"),
    ],
)
def test_choices_that_cannot_be_met_are_refused(choices, message, tmp_path):
    file = write_lines(tmp_path / "x.jsonl", [{"prompt": "p", "completion": "c"}])
    with pytest.raises(ValueError, match=message):
        prepare([str(file)], tmp_path / "data", choices)


def test_without_validation_rows_nothing_is_written(tmp_path):
    file = write_lines(tmp_path / "x.jsonl", [{"prompt": "p", "completion": "c"}])
    with pytest.raises(ValueError, match="no rows are left for"):
        prepare([f"train={file}"], tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]


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
