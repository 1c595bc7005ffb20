"""The contract with lm-eval's scheduler: a second turn sees the first turn's answer.

The model here is a transparent one: what it answers is a function of the prompt that the test can
recompute, so every expectation follows from the prompts and not from a recording.
"""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from harness_tasks.elicitation.harness import request
from harness_tasks.elicitation.late import generate_samples
from helpers.task_runs import write_samples

TASKS = Path(__file__).parents[2] / "harness_tasks"


class Transparent(LM):
    """Answers with the last word of the question; says Yes the longer the prompt is."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def loglikelihood(self, requests):
        self.calls.append(("loglikelihood", len(requests)))
        return [(-len(c) / (1000 + len(p)), False) for p, c in (r.args for r in requests)]

    def generate_until(self, requests):
        self.calls.append(("generate_until", len(requests)))
        replies = []
        for prompt, _ in (each.args for each in requests):
            if prompt.endswith("Probability:"):
                replies.append(" 70%")
            else:
                question = prompt.rsplit("Question: ", 1)[1].split("\n")[0]
                replies.append(f" {question.split()[-1]}\nand more")
        return replies

    def loglikelihood_rolling(self, requests):
        raise NotImplementedError


def run(tasks, metadata=None, **options):
    manager = TaskManager(include_path=str(TASKS), include_defaults=False, metadata=metadata)
    return simple_evaluate(
        model=Transparent(), tasks=tasks, task_manager=manager, limit=3, log_samples=True, **options
    )


def records(results, task, method):
    return [row["filtered_resps"][0] for row in results["samples"][task] if row["filter"] == method]


@pytest.mark.parametrize(
    "order", itertools.permutations(["calib_worldfacts", "calib_worldfacts_mc", "calib_other"])
)
def test_every_query_contains_the_answer_whatever_the_order_of_tasks(order):
    metadata = {"methods": ["zero_shot_classifier", "verbalized"]}
    tasks = [name for name in order if name != "calib_other"]
    if "calib_other" == order[0]:
        tasks.insert(0, "calib_worldfacts_mc_ood")
    results = run(tasks, metadata)
    for task in tasks:
        for record in records(results, task, "zero_shot_classifier"):
            assert record["answer"]
            # The second turn repeats the question, not the few-shot examples before it.
            asked = "Question: " + record["context"].split("Question: ")[-1]
            assert record["query"] == (
                f"{asked} {record['answer']}\n\nIs the proposed answer correct?\nAnswer:"
            )
            assert record["context"].count("Question: ") == 4


def test_the_answer_is_asked_for_once_and_all_methods_judge_it():
    results = run(["calib_worldfacts"])
    answers = {}
    for row in results["samples"]["calib_worldfacts"]:
        answers.setdefault(row["doc_id"], set()).add(row["filtered_resps"][0]["answer"])
    assert len(answers) == 3
    for doc_id, seen in answers.items():
        question = next(
            row["doc"]["question"]
            for row in results["samples"]["calib_worldfacts"]
            if row["doc_id"] == doc_id
        )
        assert seen == {question.split()[-1]}


def test_the_filter_column_is_the_method_and_each_score_has_a_standard_error():
    scores = run(["calib_worldfacts"])["results"]["calib_worldfacts"]
    for method in ("likelihood", "zero_shot_classifier", "verbalized", "sampling"):
        for metric in ("acc", "ece", "auroc", "brier", "answered"):
            assert f"{metric},{method}" in scores
            assert f"{metric}_stderr,{method}" in scores
    assert scores["ece_stderr,zero_shot_classifier"] != "N/A"


def test_confidences_are_what_the_replies_say():
    results = run(["calib_worldfacts"], {"k": 4})
    for record in records(results, "calib_worldfacts", "verbalized"):
        assert record["confidence"] == pytest.approx(0.7)
    for record in records(results, "calib_worldfacts", "sampling"):
        assert record["confidence"] == 1.0  # every sample repeats the answer
        assert len(record["samples"]) == 4


def test_a_backend_without_tokenizer_cannot_normalise_the_likelihood():
    results = run(["calib_worldfacts"], {"methods": ["likelihood"]})
    for record in records(results, "calib_worldfacts", "likelihood"):
        assert record["confidence"] is None
        assert "tokens" in record["reason"]
    assert results["results"]["calib_worldfacts"]["answered,likelihood"] == 0


def test_predict_only_logs_responses_without_scores():
    results = run(["calib_worldfacts"], predict_only=True)
    assert {row["bypass"] for row in results["samples"]["calib_worldfacts"]} == {None}


@pytest.mark.parametrize("task", ["calib_worldfacts", "calib_worldfacts_mc"])
def test_frozen_answers_are_judged_without_being_asked_again(task, tmp_path):
    first = run([task], {"methods": ["zero_shot_classifier"]})
    file = write_samples(first, task, tmp_path)
    again = run([task], {"methods": ["zero_shot_classifier"], "answers": str(file)})
    assert records(again, task, "zero_shot_classifier") == records(
        first, task, "zero_shot_classifier"
    )
    requests_per_question = {len(row["arguments"]) for row in again["samples"][task]}
    assert requests_per_question == {2}  # yes and no; no request for the answer


def test_frozen_answers_that_miss_rows_are_refused_by_row_number(tmp_path):
    first = run(["calib_worldfacts"], {"methods": ["zero_shot_classifier"]})
    file = write_samples(first, "calib_worldfacts", tmp_path)
    kept = [line for line in file.read_text().splitlines() if json.loads(line)["doc_id"] != 1]
    file.write_text("\n".join(kept))
    with pytest.raises(ValueError, match=r"no answer to 1 of the questions asked now \(rows 1\)"):
        run(["calib_worldfacts"], {"answers": str(file)})


def test_frozen_answers_of_another_task_are_refused(tmp_path):
    first = run(["calib_worldfacts"], {"methods": ["zero_shot_classifier"]})
    file = write_samples(first, "calib_worldfacts", tmp_path)
    with pytest.raises(ValueError, match="belongs to the task 'calib_worldfacts'"):
        run(["calib_worldfacts_ood"], {"answers": str(file)})


def test_frozen_answers_need_a_logged_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="--log_samples"):
        run(["calib_worldfacts"], {"answers": str(tmp_path)})


def test_a_split_that_does_not_exist_is_refused_with_the_ones_that_do():
    with pytest.raises(ValueError, match="no split 'dev'; the data set has .*validation"):
        run(["calib_worldfacts"], {"split": "dev"})


def test_likelihood_weighting_is_refused_for_multiple_choice():
    with pytest.raises(ValueError, match="weighting 'likelihood' is for open-ended tasks"):
        run(["calib_worldfacts_mc"], {"weighting": "likelihood"})


class VLLM(LM):
    """What `generate_samples` asks of lm-eval's class of this name, on a device."""

    def __init__(self, device, parts):
        super().__init__()
        config = {"device_config": SimpleNamespace(device_type=device),
                  "scheduler_config": SimpleNamespace(enable_chunked_prefill=parts)}  # fmt: skip
        engine = SimpleNamespace(vllm_config=SimpleNamespace(**config))
        self.model = SimpleNamespace(llm_engine=engine)
        self.model_args = {"seed": 7}
        self.seeds = []

    def generate_until(self, requests, **_):
        self.seeds += [each.args[1].get("seed") for each in requests]
        return ["Paris"] * len(requests)

    def loglikelihood(self, requests):
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


@pytest.mark.parametrize(
    ("device", "parts", "seeds"),
    [("cuda", True, [7, 8, 9, 10]), ("cpu", False, [7, 8, 9, 10]), ("cpu", True, [None] * 4)],
)
def test_samples_of_vllm_have_seeds_of_their_own_where_it_bears_them(device, parts, seeds, caplog):
    lm = VLLM(device, parts)
    asked = [request("generate_samples", (text, {"until": ["\n"]}), None) for text in ("a", "b")]
    for each in asked:
        each.repeats = 2
    generate_samples(lm, [asked[0], asked[0], asked[1], asked[1]])
    assert lm.seeds == seeds
    assert ("enable_chunked_prefill=False" in caplog.text) == (None in seeds)
