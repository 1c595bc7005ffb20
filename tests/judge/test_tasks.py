"""The judge's task files in lm-eval."""

import math
from pathlib import Path

import lm_eval
import pytest
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from harness_tasks.judge import answers
from harness_tasks.judge.replies import read_preference, read_rating, read_verdict
from helpers.judge_logs import log, record


def test_every_judge_task_runs_in_lm_eval_and_counts_unreadable_replies(tmp_path):
    rows = [record("a", "b"), record("c", "")]  # also an answer that was not given
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\na,1\n", encoding="utf-8")
    run = str(log(tmp_path / "run", rows))
    manager = TaskManager(
        include_path=str(Path(answers.__file__).parent),
        include_defaults=False,
        metadata={"answers": run, "against": run},
    )
    tasks = ("ratings", "verdict", "pairwise")
    tasks = [name + kind for name in tasks for kind in ("", "_likelihood")]
    results = lm_eval.simple_evaluate(
        model="dummy",
        tasks=[f"calib_judge_{name}" for name in tasks],
        task_manager=manager,
        bootstrap_iters=0,
        log_samples=True,
    )
    groups = {"calib_judge_ratings", "calib_judge_ratings_likelihood"}
    assert set(results["samples"]) == set(manager.all_tasks) - groups
    for name in results["samples"]:
        # The dummy model's replies are no verdicts, but some reply is always the likeliest.
        assert results["results"][name]["parsed,none"] == name.endswith("_likelihood")
    samples = results["samples"]["calib_judge_depth"]
    assert "depth" in samples[0]["arguments"][0][0]
    assert samples[0]["rating"] is None


class Rater(LM):
    """Finds 5 likeliest for the answer "good", with a share of 0.6, and 2 for others, with 0.6."""

    def loglikelihood(self, requests):
        found = []
        for request in requests:
            prompt, reply = request.args
            best = "5" if "Answer: good\n" in prompt else "2"
            found.append((math.log(0.6 if reply.strip() == best else 0.1), False))
        return found

    def generate_until(self, requests):
        raise NotImplementedError

    loglikelihood_rolling = generate_until


def ask(task, metadata, model, **options):
    manager = TaskManager(
        include_path=str(Path(answers.__file__).parent), include_defaults=False, metadata=metadata
    )
    return lm_eval.simple_evaluate(
        model=model, tasks=[task], task_manager=manager, bootstrap_iters=0, **options
    )


def test_ratings_by_likelihood_in_lm_eval_are_those_worked_out_by_hand(tmp_path):
    rows = [record("a", "good"), record("b", "bad"), record("c", "good")]
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\na,5\nb,1\nc,4\n", encoding="utf-8")
    metadata = {"answers": str(log(tmp_path / "run", rows)), "labels": str(labels)}
    row = ask("calib_judge_depth_likelihood", metadata, Rater())["results"][
        "calib_judge_depth_likelihood"
    ]
    # "good": 0.6 * 5 + 0.1 * (1 + 2 + 3 + 4) = 4; "bad": 0.6 * 2 + 0.1 * (1 + 3 + 4 + 5) = 2.5.
    assert row["rating,none"] == pytest.approx((4 + 2.5 + 4) / 3)
    assert row["agreement,none"] == pytest.approx(1 / 3)
    # Confidence 0.6 each, one of three right: one bin, |1/3 - 0.6|.
    assert row["ece,none"] == pytest.approx(0.6 - 1 / 3)
    # Squared differences 0, 1, 1; of all nine (judge, human) by chance: (0+16+1+9+1+4+0+16+1) / 3.
    assert row["weighted_kappa,none"] == pytest.approx(1 - 2 / (48 / 3))


@pytest.mark.parametrize(
    ("task", "read"),
    [
        ("calib_judge_depth", read_rating),
        ("calib_judge_verdict", read_verdict),
        ("calib_judge_pairwise", read_preference),
    ],
)
def test_the_worked_examples_are_replies_that_can_be_read(tmp_path, task, read):
    run = str(log(tmp_path / "run", [record("a", "b")]))
    results = ask(task, {"answers": run, "against": run}, "dummy", num_fewshot=3)
    prompt = results["samples"][task][0]["arguments"][0][0]
    examples = results["configs"][task]["fewshot_config"]["samples"]
    assert [example["reply"] for example in examples if example["reply"] in prompt] == [
        example["reply"] for example in examples
    ]
    found = [read(example["reply"]) for example in examples]
    assert None not in found
    assert len(set(found)) > 1
