"""Prepared data sets made of files: which records are read, and how they are shown."""

import hashlib

import pytest

from calib_adapters.data.prepare import Choices, prepare
from helpers.adapters_common import write_lines


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
    ({"prompt": 5, "completion": "c"}, "row 2: the prompt is 5; it must be a text"),
    ({"prompt": "p \ud800", "completion": "c"}, "row 2: the prompt has half of a surrogate pair"),
    ({"messages": "hello"}, "row 2: the messages are neither a list nor JSON"),
    ({"messages": [{"role": "user", "content": "q"}]}, "must be a list of at least a question and"),
    (
        {"messages": [{"role": "human", "content": "q"}, {"role": "assistant", "content": "a"}]},
        "message 1 has the role 'human'; it must be one of system, user, assistant",
    ),
    (
        {"messages": [{"role": "assistant", "content": "q"}, {"role": "user", "content": "a"}]},
        "the last two messages must be a user's and the assistant's",
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
