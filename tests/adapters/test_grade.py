"""Graded datasets: what is kept, and what is refused."""

import json

import pytest
from datasets import load_from_disk

from calib_adapters.data.grade import grade, load_graded
from helpers.graded_runs import record, write_run


def test_answers_are_kept_by_split_with_their_prompts_and_provenance(tmp_path):
    rows = [record("France"), record("Peru", answer="Rome", correct=0)]
    train = write_run(tmp_path / "train", rows)
    validation = write_run(tmp_path / "validation", [record("Chad", split="validation")])
    grade([train, validation], tmp_path / "graded")
    stored = load_from_disk(str(tmp_path / "graded"))
    assert stored["train"]["correct"] == [1, 0]
    assert stored["train"][1]["query"] == rows[1]["query"]
    assert stored["validation"]["id"] == ["capital:Chad"]
    _, provenance = load_graded(tmp_path / "graded")
    assert provenance["model"] == "base"
    assert provenance["splits"]["train"] == {"n": 2, "accuracy": 0.5}


def test_only_the_chosen_method_is_graded(tmp_path):
    rows = [record("France"), {**record("France", method="question_only"), "query": "hidden"}]
    graded = grade([write_run(tmp_path / "run", rows)], tmp_path / "graded", "question_only")
    assert graded["train"]["query"] == ["hidden"]


@pytest.mark.parametrize("split", ["test", "test_ood"])
def test_answers_to_test_questions_are_refused(tmp_path, split):
    run = write_run(tmp_path / "run", [record("France", split=split)])
    with pytest.raises(ValueError, match=f"split '{split}'.*void"):
        grade([run], tmp_path / "graded")
    assert not (tmp_path / "graded").exists()


def test_two_answers_to_one_question_are_refused(tmp_path):
    one = write_run(tmp_path / "one", [record("France")])
    two = write_run(tmp_path / "two", [record("France", answer="Lyon")])
    with pytest.raises(ValueError, match="'capital:France' with 'Lyon'.*'Paris'"):
        grade([one, two], tmp_path / "graded")


def test_a_number_that_counts_the_rows_of_each_split_names_a_question_in_each(tmp_path):
    rows = [
        {**record("France", split="train"), "id": "0"},
        {**record("Peru", answer="Lima", split="validation"), "id": "0"},
        {**record("Italy", answer="Lima", correct=0, split="validation"), "id": "1"},
    ]
    runs = [write_run(tmp_path / str(i), [row]) for i, row in enumerate(rows)]
    graded = grade(runs, tmp_path / "graded")
    assert graded["train"]["answer"] == ["Paris"]
    assert graded["validation"]["id"] == ["0", "1"]


def test_answers_of_two_models_are_refused(tmp_path):
    one = write_run(tmp_path / "one", [record("France")], model="base")
    two = write_run(tmp_path / "two", [record("Peru")], model="other")
    with pytest.raises(ValueError, match="different models \\(base, other\\)"):
        grade([one, two], tmp_path / "graded")


def test_one_task_asked_in_two_ways_is_refused(tmp_path):
    one = write_run(tmp_path / "one", [record("France")])
    two = write_run(tmp_path / "two", [{**record("Peru"), "signature": "wording:roman_choice"}])
    with pytest.raises(ValueError, match="wording:roman_choice, but in another file as .*yes_no"):
        grade([one, two], tmp_path / "graded")


def test_answers_about_which_nothing_could_be_asked_are_left_out_and_counted(tmp_path, caplog):
    reason = "the prompt and its reply take 99 tokens, the model's window has 60"
    long = {k: v for k, v in record("Peru").items() if k not in ("context", "query", "yes", "no")}
    run = write_run(
        tmp_path / "run", [record("France"), {**long, "confidence": None, "reason": reason}]
    )
    graded = grade([run], tmp_path / "graded")
    assert graded["train"]["id"] == ["capital:France"]
    assert load_graded(tmp_path / "graded")[1]["unasked"] == 1
    assert (
        "1 answers were left out: they are unfinished, or nothing was asked about them; mostly: "
        f"{reason}" in caplog.text
    )


def test_answers_that_were_cut_are_left_out_and_counted(tmp_path):
    reason = "the answer is unfinished: cut at its limit of 4 tokens, after 'Lima is a'"
    cut = {**record("Peru"), "confidence": None, "reason": reason}
    graded = grade([write_run(tmp_path / "run", [record("France"), cut])], tmp_path / "graded")
    assert graded["train"]["id"] == ["capital:France"]
    assert load_graded(tmp_path / "graded")[1]["unasked"] == 1


def test_answers_without_a_verdict_are_left_out_and_counted(tmp_path):
    rows = [record("France"), {**record("Peru"), "correct": None}]
    graded = grade([write_run(tmp_path / "run", rows)], tmp_path / "graded")
    assert graded["train"]["id"] == ["capital:France"]
    _, provenance = load_graded(tmp_path / "graded")
    assert provenance["ungraded"] == 1
    assert provenance["asked"] == {"calib_x": "wording:yes_no"}
    with pytest.raises(ValueError, match="no graded sample .*1 without a verdict"):
        grade([write_run(tmp_path / "none", rows[1:])], tmp_path / "other")


def test_a_method_without_a_yes_no_query_cannot_be_trained(tmp_path):
    row = record("France", method="linguistic")
    run = write_run(tmp_path / "run", [{k: v for k, v in row.items() if k != "query"}])
    with pytest.raises(ValueError, match="'linguistic' asks no question that could"):
        grade([run], tmp_path / "graded", "linguistic")


def test_a_run_without_the_method_says_how_to_make_one(tmp_path):
    run = write_run(tmp_path / "run", [record("France", method="sampling")])
    with pytest.raises(ValueError, match='"methods": \\["zero_shot_classifier"\\]'):
        grade([run], tmp_path / "graded")


def test_a_folder_without_samples_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="--log_samples"):
        grade([tmp_path], tmp_path / "graded")


def test_a_truncated_log_is_refused_by_its_line(tmp_path):
    run = write_run(tmp_path / "run", [record("France"), record("Peru")])
    file = next(run.glob("samples_*"))
    file.write_text(file.read_text()[:-20])
    with pytest.raises(ValueError, match="line 2: not valid JSON"):
        grade([run], tmp_path / "graded")


def counting(run, count):
    """Let the results file of a run say how many questions were asked."""
    file = next(run.glob("results_*"))
    results = json.loads(file.read_text(encoding="utf-8"))
    results["n-samples"] = {"calib_x": {"original": 9, "effective": count}}
    file.write_text(json.dumps(results), encoding="utf-8")
    return run


def test_a_log_cut_between_lines_is_refused_by_what_the_results_say(tmp_path):
    run = counting(write_run(tmp_path / "run", [record("France"), record("Peru")]), 2)
    assert grade([run], tmp_path / "graded")["train"].num_rows == 2
    file = next(run.glob("samples_*"))
    file.write_text(file.read_text(encoding="utf-8").splitlines()[0], encoding="utf-8")
    with pytest.raises(ValueError, match="samples of 1 questions, but 'results_.* 2 were asked"):
        grade([run], tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([record("France"), record("France")], "line 2: id 'capital:France' appears twice"),
        ([record("France", correct=2)], "line 1: correct is 2, neither 0 nor 1"),
        ([record("France", correct="1")], "line 1: correct is '1'"),
    ],
)
def test_rows_that_a_leaderboard_refuses_are_not_graded(tmp_path, rows, sentence):
    with pytest.raises(ValueError, match=sentence):
        grade([write_run(tmp_path / "run", rows)], tmp_path / "graded")


def test_grades_that_are_true_or_false_are_one_or_zero(tmp_path):
    rows = [record("France", correct=True), record("Peru", correct=False)]
    graded = grade([write_run(tmp_path / "run", rows)], tmp_path / "graded")
    assert graded["train"]["correct"] == [1, 0]


def test_the_model_is_found_where_its_arguments_are_one_text(tmp_path):
    run = write_run(tmp_path / "run", [record("France")])
    file = next(run.glob("results_*"))
    file.write_text(json.dumps({"config": {"model_args": "pretrained=/models/base,dtype=x"}}))
    grade([run], tmp_path / "graded")
    assert load_graded(tmp_path / "graded")[1]["model"] == "base"


def test_an_existing_folder_is_not_overwritten(tmp_path):
    run = write_run(tmp_path / "run", [record("France")])
    grade([run], tmp_path / "graded")
    with pytest.raises(ValueError, match="exists already"):
        grade([run], tmp_path / "graded")


@pytest.mark.parametrize(("name", "value"), [
    *((name, value) for name in ("split", "question") for value in (None, True, ["train"], {})),
    ("task", ""), ("reason", 1), ("reason", ["cut"]),
    *((name, value) for name in ("context", "query", "yes", "no", "answer_text")
      for value in (None, 3, ["text"])),
])  # fmt: skip
def test_a_record_with_another_value_where_a_text_belongs_is_refused(tmp_path, name, value):
    rows = [record("France"), {**record("Italy"), name: value}]
    with pytest.raises(ValueError, match=rf"samples_calib_x.*{name}"):
        grade([write_run(tmp_path / "run", rows)], tmp_path / "graded")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
