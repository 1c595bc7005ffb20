"""The frozen answers that a judge is asked about, and the human labels beside them."""

import pytest

from harness_tasks.judge import answers, scores
from helpers.judge_logs import generated, log, record

ODD = {"gen_args_0": {"arg_0": 5}}


def test_each_answer_of_a_confidence_task_is_judged_once_with_its_accepted_answers(tmp_path):
    rows = [
        record(*given, method=method)
        for method in ("likelihood", "verbalized")
        for given in (("a", "b"), ("c", "c"))
    ]
    documents = answers.load(answers=str(log(tmp_path / "run", rows)))["test"]
    assert documents["id"] == ["a", "c"]
    assert documents["question"] == ["What is a?", "What is c?"]
    assert documents["references"][0] == ["a", "the a"]
    assert documents["reference"][0] == "a; the a"
    assert documents["label"] == [None, None]


def test_answers_of_stock_tasks_and_of_tables_can_be_judged_too(tmp_path):
    documents = answers.load(answers=str(log(tmp_path / "run", [generated("a", " b\n")])))["test"]
    assert documents[0]["answer"] == "b"
    assert documents[0]["question"] == "What is a?"
    table = tmp_path / "given.csv"
    table.write_text("prompt,answer\nWhy?,Because.\nHow?,So.\n", encoding="utf-8")
    documents = answers.load(answers=str(table))["test"]
    assert documents["answer"] == ["Because.", "So."]
    assert documents["reference"] == ["", ""]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [record("a", "b"), record("a", "c", method="verbalized")],
            "two different answers to the question of line 2",
        ),
        ([record("a", "B", signature="grading:option")], "line 1 .* multiple-choice"),
        ([{**generated("a", "b"), "resps": [[["-1", "True"]]]}], "line 1 .* log-probabilities"),
        ([{"doc": {}, "resps": [], "filtered_resps": []}], "line 1 .* not a logged sample"),
        ([{**generated("a", "b"), "doc": ["a"]}], "line 1 .* not a logged sample"),
        ([{**generated("a", "b"), "doc": {}, "arguments": ODD}], "line 1 .* no text as the prompt"),
        ([{**generated("a", "b"), "doc_hash": 1}], "line 1: 'doc_hash' is '1', not the text"),
        ([{**record("a", "b"), "doc_hash": None}], "line 1: 'doc_hash' is 'None', not the text"),
    ],
)
def test_a_log_without_usable_answers_is_refused_with_the_line(tmp_path, rows, sentence):
    with pytest.raises(ValueError, match=sentence):
        answers.load(answers=str(log(tmp_path / "run", rows)))


def test_a_judge_without_answers_says_what_to_add():
    with pytest.raises(ValueError, match='--metadata .*"answers"'):
        answers.load()


def test_several_logs_in_one_folder_are_not_chosen_from(tmp_path):
    folder = log(tmp_path / "run", [record("a", "b")])
    log(folder, [record("a", "b")], "samples_u_2026-01-01T00-00-00.jsonl")
    with pytest.raises(ValueError, match="several logs .* Name one file"):
        answers.load(answers=str(folder))


def test_human_labels_are_matched_by_id_and_may_be_fewer(tmp_path):
    run = log(tmp_path / "run", [record("a", "b"), record("c", "c")])
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\nc,Correct\n", encoding="utf-8")
    documents = answers.load(answers=str(run), labels=str(labels))["test"]
    assert documents["label"] == [None, 1]
    unlabelled = scores.verdict(documents[0], ["Verdict: correct"])
    assert unlabelled["labelled"] == 0
    assert "agreement" not in unlabelled


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id,label\na,maybe\n", "row 1, column 'label': 'maybe' is none of"),
        ("id,label\na,1\na,0\n", "row 2, column 'id': 'a' has a label already"),
        ("id,label\nz,1\n", "none of its ids"),
        ("id,grade\na,1\n", "no column 'label'"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, text, sentence):
    run = log(tmp_path / "run", [record("a", "b")])
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=sentence):
        answers.load(answers=str(run), labels=str(tmp_path / "labels.csv"))


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("['Paris', 'City of Paris']", ["Paris", "City of Paris"]),
        ("Paris", ["Paris"]),
        ("[1, 2]", ["[1, 2]"]),
        ("[sic] Paris", ["[sic] Paris"]),
        ("[" * 5000, ["[" * 5000]),
        ("[__import__('os').getcwd()]", ["[__import__('os').getcwd()]"]),
    ],
)
def test_accepted_answers_are_read_from_the_log_and_nothing_is_run(target, expected):
    assert answers._references(target) == expected
