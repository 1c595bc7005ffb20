"""Grading by a judge: every open-ended task takes its verdicts in place of string grading."""

import json
from pathlib import Path

import lm_eval
import pytest
from lm_eval.tasks import TaskManager

import harness_tasks


@pytest.fixture(scope="module")
def answered():
    """Four questions answered by the dummy model."""
    return ask({})


def ask(metadata, task="calib_worldfacts"):
    manager = TaskManager(
        include_path=str(Path(harness_tasks.__file__).parent / "worldfacts"),
        include_defaults=False,
        metadata={"methods": ["likelihood"], **metadata},
    )
    return lm_eval.simple_evaluate(
        model="dummy", tasks=[task], task_manager=manager, limit=4, bootstrap_iters=0
    )


def verdicts(answered, folder, given):
    """A judge's log with these verdicts on the first answers, one each."""
    rows = []
    samples = answered["samples"]["calib_worldfacts"][: len(given)]
    for sample, verdict in zip(samples, given, strict=True):
        answer = json.loads(str(sample["filtered_resps"][0]))["answer"]
        doc = {"judged": sample["doc_hash"], "answer": answer}
        row = {"doc_id": len(rows), "doc": doc, "filter": "none", "judged_correct": verdict}
        rows.append(row)
    folder.mkdir()
    file = folder / "samples_calib_judge_verdict_2026-01-01T00-00-00.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return f"judge:{folder}"


def records(results):
    samples = results["samples"]["calib_worldfacts"]
    return [json.loads(str(sample["filtered_resps"][0])) for sample in samples]


def test_the_judges_verdicts_are_the_grades_and_unreadable_ones_are_counted(answered, tmp_path):
    grading = verdicts(answered, tmp_path / "judge", [1, 0, None, 1])
    results = ask({"grading": grading})
    row = results["results"]["calib_worldfacts"]
    assert row["acc,likelihood"] == pytest.approx(2 / 3)
    assert row["graded,likelihood"] == 0.75
    assert [record["correct"] for record in records(results)] == [1, 0, None, 1]
    assert all(record["signature"].endswith("grading:judge") for record in records(results))


def test_string_grading_shows_no_share_of_graded_answers(answered):
    assert "graded,likelihood" not in answered["results"]["calib_worldfacts"]


def test_an_answer_that_the_judge_did_not_see_is_an_error(answered, tmp_path):
    grading = verdicts(answered, tmp_path / "judge", [1, 0, 1])
    with pytest.raises(ValueError, match="the judge was not asked about the answer"):
        ask({"grading": grading})
