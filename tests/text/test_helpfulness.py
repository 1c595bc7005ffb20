"""Helpfulness: requests, a judge's preferences, human ratings."""

import csv
import json
import math

import numpy as np
import pytest

from harness_tasks.helpfulness import human, requests
from harness_tasks.judge.answers import read_labels
from harness_tasks.judge.pairs import likelier_preference
from helpers.transparent_model import Transparent, evaluate


def answers_run(folder, answers):
    folder.mkdir()
    lines = [
        {
            "doc_id": place,
            "filter": "none",
            "doc": {"id": key, "prompt": f"Request {key}"},
            "doc_hash": key,
            "target": "",
            "arguments": {"gen_args_0": {"arg_0": f"Request {key}"}},
            "resps": [[text]],
            "filtered_resps": [text],
        }
        for place, (key, text) in enumerate(answers.items())
    ]
    file = folder / "samples_calib_helpfulness_answers_2026-01-01T00-00-00.000000.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    return str(folder)


def test_the_longer_answer_wins_for_a_judge_that_loves_length(tmp_path):
    ours = answers_run(tmp_path / "a", {"1": "short", "2": "a very long reply", "3": "same"})
    other = answers_run(tmp_path / "b", {"1": "a long reply", "2": "brief", "3": "same"})

    def logprob(prompt, text):
        one, two = (prompt.split(f"Answer {n}: ")[1].split("\n")[0] for n in (1, 2))
        better = "1" if len(one) > len(two) else "2" if len(two) > len(one) else "tie"
        return -1.0 if text.strip() == better else -2.0

    scores, samples = evaluate(
        "calib_judge_pairwise_likelihood",
        Transparent(logprob=logprob),
        metadata={"answers": ours, "against": other},
    )
    assert len(samples) == 6
    expected = {"win_rate": 1 / 2, "ties": 1 / 3, "consistent": 1, "decided": 1, "parsed": 1}
    for name, value in {**expected, "prefers_first": 1 / 2}.items():
        assert scores[f"{name},none"] == pytest.approx(value)


def test_a_judge_to_whom_replies_are_equally_likely_has_no_verdict():
    doc = {"id": "1", "order": "answers", "label": None, "labels_given": False}
    values = [(-1.0, False), (-1.0, False), (-3.0, False)]
    assert likelier_preference(doc, values)["parsed"] == 0
    assert likelier_preference(doc, [(-1.0, False), (-0.5, False), (-3.0, False)])["parsed"] == 1


def test_requests_take_instruction_and_input_and_keep_ids(tmp_path):
    file = tmp_path / "r.jsonl"
    rows = [
        {"id": "s1", "instruction": "Translate.", "input": "Hund"},
        {"id": "s2", "instruction": "Say hi.", "input": ""},
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    model = Transparent(lambda p: " " if "hi" in p else "dog")
    scores, samples = evaluate("calib_helpfulness_answers", model, metadata={"prompts": str(file)})
    assert [row["doc"] for row in samples] == [
        {"id": "s1", "prompt": "Translate.\n\nHund"},
        {"id": "s2", "prompt": "Say hi."},
    ]
    assert scores["given,none"] == 0.5


def test_two_requests_of_one_id_are_refused(tmp_path):
    file = tmp_path / "r.csv"
    file.write_text("id,prompt\n7,one\n7,two\n")
    with pytest.raises(ValueError, match="several rows have the id '7'"):
        requests(str(file))


def ratings_file(folder, header, *rows):
    file = folder / "ratings.csv"
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([header, *rows])
    return file


def test_human_preferences_by_hand(tmp_path, capsys):
    file = ratings_file(
        tmp_path,
        ["id", "rater", "label"],
        ["1", "ann", "answers"],
        ["1", "bob", "Answers"],
        ["2", "ann", "against"],
        ["2", "bob", "tie"],
        ["3", "ann", "against"],
    )
    labels = tmp_path / "labels.csv"
    human.main([str(file), "-o", str(labels)])
    found = json.loads(capsys.readouterr().out)
    # Questions: 1, 1/4, 0. Equal labels: one pair of two.
    assert found["win_rate"] == pytest.approx(5 / 12)
    assert found["win_rate_stderr"] == pytest.approx(np.std([1, 0.25, 0], ddof=1) / math.sqrt(3))
    assert (found["questions"], found["labels"], found["rater_agreement"]) == (3, 5, 0.5)
    assert read_labels(labels, "preference", ["1"]) == {"1": "answers", "2": "tie", "3": "against"}


def test_human_numbers_by_hand(tmp_path):
    rows = ["1", "a", "5"], ["1", "b", "2"], ["1", "c", "4"], ["2", "a", "1"]
    ratings = human.read_ratings(ratings_file(tmp_path, ["id", "rater", "label"], *rows))
    found = human.summary(ratings)
    assert found["rating"] == pytest.approx((11 / 3 + 1) / 2)
    assert found["rater_agreement"] == 0
    assert [human.one_label(given) for given in ratings.values()] == ["4", "1"]


@pytest.mark.parametrize(
    ("header", "rows", "words"),
    [
        (["id", "label"], [["1", "me"]], "row 1, column 'label': 'me' is neither"),
        (["id", "label"], [["1", "nan"]], "'nan' is neither"),
        (["id", "score"], [["1", "2"]], "row 1: column 'label' is missing"),
        (["id", "label"], [["", "2"]], "row 1: column 'id' is missing or the cell is empty"),
        (["id", "label"], [["1", "2"], ["2", "tie"]], "row 2: some labels are preferences"),
        (["id", "label"], [["1", "2"], ["1", "3"]], "row 2: the rater labels '1' a second time"),
    ],
)
def test_malformed_ratings_are_refused_by_row_and_column(tmp_path, header, rows, words):
    with pytest.raises(ValueError, match=words):
        human.read_ratings(ratings_file(tmp_path, header, *rows))
