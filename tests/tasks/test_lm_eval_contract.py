"""What of lm-eval's internals this project needs, one test for each.

They are about lm-eval, as `harness_tasks.elicitation.harness` uses it; the tasks themselves are not
imported. The name of a test that fails is what has changed. A new lm-eval that schedules requests
otherwise fails `test_late_requests.py`.
"""

import ast
from pathlib import Path

import pytest
from lm_eval import evaluate, simple_evaluate
from lm_eval.api.model import LM
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager

from harness_tasks.elicitation import harness

ROOT = Path(__file__).parents[2]
DOCS = [{"question": "1 + 1?", "answers": ["2"]}, {"question": "2 + 2?", "answers": ["4", "four"]}]


def load(**_):
    import datasets

    return {"test": datasets.Dataset.from_list(DOCS)}


CONFIG = {
    "task": "contract", "custom_dataset": load, "test_split": "test", "num_fewshot": 0,
    "output_type": "generate_until", "doc_to_text": "{{question}}", "doc_to_target": "answers",
    "generation_kwargs": {"until": ["\n"]},
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}  # fmt: skip


class Asking(ConfigurableTask):
    """Two requests for each document; what lm-eval gives and takes is kept."""

    def __init__(self, **changes):
        super().__init__(config={**CONFIG, **changes})
        self.options, self.results = [], []

    def construct_requests(self, doc, ctx, **kwargs):
        self.options.append(kwargs)
        instance = harness.shared_by(doc, kwargs)
        return [
            harness.request("generate_until", (ctx, {"until": [end]}), instance) for end in "ab"
        ]

    def apply_filters(self):
        found = {
            each.doc_id: {"one": f"one {each.doc_id}", "two": f"two {each.doc_id}"}
            for each in self.instances
        }
        harness.put_filtered(self.instances, found, ["one", "two"])

    def process_results(self, doc, results):
        self.results.append((doc["question"], results))
        return harness.BYPASS if harness.only_predicts(self) else {"exact_match": 1.0}


class Echo(LM):
    def generate_until(self, requests):
        return ["2"] * len(requests)

    loglikelihood = loglikelihood_rolling = generate_until


def test_1_a_request_is_made_of_task_row_and_repeats_or_of_no_document_at_all():
    made = harness.request("loglikelihood", ("a", "b"), harness.shared({"x": 1}, "task", 7, 3), 2)
    assert (made.task_name, made.doc_id, made.repeats, made.idx) == ("task", 7, 3, 2)
    assert made.args == ("a", "b") and made.doc == {"x": 1}
    assert harness.request("loglikelihood", ("a", "b")).doc_id is None


def test_2_construct_requests_is_told_task_and_row_as_metadata():
    task = Asking()
    task.build_all_requests(rank=0, world_size=1)
    told = [harness.shared_by({}, options) for options in task.options]
    assert [harness.task_of(each) for each in told] == ["contract", "contract"]
    assert [harness.doc_id_of(each) for each in told] == [0, 1]


def test_3_templates_are_compiled_by_one_environment_of_lm_evals():
    from lm_eval.utils import apply_template

    environment = harness.environment()
    seen = []
    own = environment.from_string
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "from_string", lambda text: seen.append(text) or own(text))
        assert apply_template("{{question}}!", DOCS[0]) == "1 + 1?!"
    assert seen == ["{{question}}!"]


def test_4_the_metric_acc_is_allowed_for_a_generated_answer():
    metric = {"metric": "acc", "aggregation": "mean", "higher_is_better": True}
    task = Asking(metric_list=[metric])
    assert task.aggregation().keys() == {"acc"}


def test_5_a_task_names_its_metrics_and_bypass_replaces_them():
    task = Asking()
    assert list(harness.metric_names(task)) == ["exact_match"]
    assert not harness.only_predicts(task) and not harness.has_several_beginnings(task)
    predicted = simple_evaluate(
        model=Echo(), tasks=[task], task_manager=TaskManager(include_defaults=False),
        bootstrap_iters=0, predict_only=True,
    )  # fmt: skip
    assert {row["bypass"] for row in predicted["samples"]["contract"]} == {None}


def test_5_a_task_with_several_beginnings_says_so():
    task = Asking(
        output_type="multiple_choice",
        metric_list=[{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        doc_to_text=lambda doc: len(doc["answers"]) - 1,
        doc_to_choice=lambda doc: ["first", "second"],
        doc_to_target=lambda doc: "ending",
    )
    assert harness.has_several_beginnings(task)


def test_6_the_filters_are_those_that_the_task_sets_on_its_requests():
    # One row for each filter and document; only the first of a document's requests says something.
    task = Asking()
    logged = evaluate(Echo(), {"contract": task}, bootstrap_iters=0)["samples"]["contract"]
    assert [(row["filter"], row["doc_id"]) for row in logged] == [
        ("one", 0), ("one", 1), ("two", 0), ("two", 1)
    ]  # fmt: skip
    assert task.results == [
        (doc["question"], [f"{name} {row}", None])
        for name in ("one", "two")
        for row, doc in enumerate(DOCS)
    ]
    assert [row["filtered_resps"] for row in logged][0] == ["one 0", None]


def test_7_the_data_set_is_there_when_the_task_is_made():
    assert list(Asking().dataset) == ["test"]


def test_nothing_else_in_the_project_touches_these_parts():
    ours = ROOT / "harness_tasks/elicitation/harness.py"
    internal = {"_metric_fn_list", "multiple_input", "task_docs"}
    found = []
    for folder in ("harness_tasks", "adapters/calib_adapters", "calibench", "leaderboards"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                made = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Instance"
                touched = isinstance(node, ast.Attribute) and node.attr in internal
                if file != ours and (made or touched):
                    found.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert not found
