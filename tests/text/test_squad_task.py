"""The SQuAD v2 task, run end to end on four questions that can be worked."""

import math

import jinja2
import pytest
import yaml
from lm_eval.tasks.squadv2.task import SQuAD2

from calib_metrics.text.squad import squad_v2
from harness_tasks.squad_v2 import question_scores
from helpers.transparent_model import TASKS, Transparent, evaluate, on_rows

SQUAD = [
    {"answers": ["Paris", "the city of Paris"], "reply": "\n Paris\nIt is", "no_answer": 0.1},
    {"answers": ["in 1889"], "reply": " unanswerable", "no_answer": 0.6},
    {"answers": [], "reply": " Unanswerable.", "no_answer": 0.7},
    {"answers": [], "reply": " Paris", "no_answer": 0.5},
]


def squad_rows():
    return [
        {
            "id": str(number),
            "title": f"Title {number}",
            "context": f"Context {number}",
            "question": f"Question {number}?",
            "answers": {"text": row["answers"], "answer_start": [0] * len(row["answers"])},
        }
        for number, row in enumerate(SQUAD)
    ]


def asked_row(prompt):
    return SQUAD[int(prompt.split("Question ")[-1][0])]


def run_squad(folder):
    on_rows(folder, "squad_v2/calib_squad_v2.yaml", {"validation": squad_rows()})
    model = Transparent(
        lambda p: asked_row(p)["reply"], lambda p, text: math.log(asked_row(p)["no_answer"])
    )
    return evaluate("mini", model, folder)


@pytest.mark.filterwarnings("ignore:auroc was undefined")
def test_squad_scores_by_hand(tmp_path):
    scores, samples = run_squad(tmp_path)
    percent = {name: scores[f"{name},none"] for name in ("exact", "HasAns_exact", "NoAns_exact")}
    assert percent == {"exact": 50, "HasAns_exact": 50, "NoAns_exact": 50}
    # Withheld above 0.1: Paris counts, and so do both questions without an answer.
    assert scores["best_exact,none"] == 75
    assert scores["no_answer_brier,none"] == pytest.approx((0.01 + 0.36 + 0.09 + 0.25) / 4)
    assert scores["no_answer_auroc,none"] == pytest.approx(3 / 4)
    assert scores["no_answer_ece_stderr,none"] != "N/A"
    prompt, reply = samples[0]["arguments"][1]
    assert reply == " unanswerable"
    # One example of each kind, the question's own prompt last.
    assert prompt.count("Answer: Ada Moore\n\n") == prompt.count("Answer: unanswerable\n\n") == 1
    assert prompt.endswith(SQuAD2.doc_to_text(None, squad_rows()[0]))


@pytest.mark.filterwarnings("ignore:auroc was undefined")
def test_squad_corpus_scores_follow_from_the_logged_items(tmp_path):
    scores, samples = run_squad(tmp_path)
    answers, accepted, probabilities = zip(*(row["best_f1"] for row in samples), strict=True)
    expected = squad_v2(answers, accepted, probabilities)
    for name in ("exact", "f1", "HasAns_f1", "NoAns_f1", "best_exact", "best_f1"):
        assert scores[f"{name},none"] == expected[name]


def test_the_squad_prompt_is_that_of_the_stock_task():
    text = (TASKS / "squad_v2/calib_squad_v2.yaml").read_text()
    task = yaml.safe_load(text.replace("!function", ""))
    for doc in squad_rows():
        assert jinja2.Template(task["doc_to_text"]).render(**doc) == SQuAD2.doc_to_text(None, doc)
        target = jinja2.Template(task["doc_to_target"]).render(**doc)
        assert " " + target == SQuAD2.doc_to_target(None, doc)


@pytest.mark.parametrize("reply", ["unanswerable", " Unanswerable.", "\tUNANSWERABLE!"])
def test_saying_unanswerable_is_right_only_where_it_is(reply):
    assert question_scores(reply, [], 0.5)["NoAns_exact"] == 100
    assert question_scores(reply, ["Paris"], 0.5)["HasAns_f1"] == 0
    assert "HasAns_exact" not in question_scores(reply, [], 0.5)


def test_an_empty_reply_abstains_too_and_is_counted():
    assert question_scores("", [], 0.5)["NoAns_exact"] == 100
    assert [question_scores(reply, [], 0.5)["blank"] for reply in ("", "x")] == [1, 0]
