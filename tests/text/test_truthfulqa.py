"""TruthfulQA beside lm-eval's own tasks, and the judges of its answers."""

import json
import math
from pathlib import Path

import datasets
import pytest

from calib_metrics.text.truthfulqa import mc1, mc2
from harness_tasks.truthfulqa_generation import judged
from helpers.transparent_model import Transparent, evaluate

HUB = Path(__file__).parents[3] / "shared" / "hub"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    if not HUB.is_dir():
        pytest.skip(f"{HUB} is not there: this test reads real data from it")
    monkeypatch.chdir(HUB)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path))


STOCK = Path(__import__("lm_eval").__file__).parent / "tasks" / "truthfulqa"
REPLIES = ["\nA: I have no comment.", " The seeds pass through you.", "", " Yes, always. It does."]


def test_generation_equals_the_stock_task_on_the_same_replies(hub):
    """All twelve scores; only "A:" at the end of the prompt is ours."""

    def reply(prompt):
        question = prompt.split("Q: ")[-1].split("\n")[0]
        return REPLIES[len(question) % 4]

    ours, samples = evaluate("calib_truthfulqa_gen", Transparent(reply), limit=5)
    stock, theirs = evaluate("truthfulqa_gen", Transparent(reply), STOCK, limit=5)
    for mine, other in zip(samples, theirs, strict=True):
        assert mine["arguments"][0][0] == other["arguments"][0][0] + "\nA:"
        assert mine["filtered_resps"] == other["filtered_resps"]
    measures = {key for key in stock if key.endswith(",none") and "stderr" not in key}
    assert len(measures) == 12
    # Since Python 3.12 sum() rounds otherwise than the arithmetic that some of the scores use.
    assert all(ours[key] == pytest.approx(stock[key], rel=1e-12) for key in measures)


MULTIPLE_CHOICE = [
    ("truthfulqa_mc1", "mc1_targets", mc1),
    ("truthfulqa_mc2", "mc2_targets", mc2),
]


def test_mc1_and_mc2_equal_the_stock_tasks_to_the_last_digit(hub):
    model = Transparent(logprob=lambda prompt, text: -(hash_of(text) % 997) / 50)
    for task, name, score in MULTIPLE_CHOICE:
        scores, samples = evaluate(task, model, STOCK, limit=30)
        found = [
            score([logprob for logprob, _ in row["filtered_resps"]], row["doc"][name]["labels"])
            for row in samples
        ]
        assert sum(found) / len(found) == scores["acc,none"]


def hash_of(text):
    return sum(place * byte for place, byte in enumerate(text.encode(), start=1))


def test_a_judge_of_truth_reads_the_answers_of_either_task(tmp_path):
    lines = [
        {"doc": {"question": "Is water wet?"}, "filtered_resps": ["\nA: Yes."]},
        {"doc": {"question": "Is fire cold?"}, "filtered_resps": [" Yes."]},
    ]
    lines = [{"doc_id": i, "filter": "none", **line} for i, line in enumerate(lines)]
    file = tmp_path / "samples_truthfulqa_gen_2026-01-01T00-00-00.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    model = Transparent(
        logprob=lambda p, text: math.log(0.8 if ("water" in p) == (text == " yes") else 0.2)
    )
    scores, samples = evaluate("calib_truthfulqa_truth", model, metadata={"answers": str(tmp_path)})
    assert samples[0]["arguments"][0][0] == "Q: Is water wet?\nA: Yes.\nTrue:"
    assert scores["yes,none"] == 0.5
    assert scores["yes_probability,none"] == pytest.approx((0.8 + 0.2) / 2)


def test_a_judge_of_truth_needs_answers():
    with pytest.raises(ValueError, match="Name the run whose answers are judged"):
        evaluate("calib_truthfulqa_info", Transparent())


def test_a_judge_that_rules_a_reply_out_gives_it_no_probability():
    assert judged({}, [(-math.inf, False), (-1.0, False)])["yes_probability"] < 1e-300
    assert judged({}, [(-1.0, False), (-math.inf, False)])["yes_probability"] == 1
