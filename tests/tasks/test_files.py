"""The tasks on public data sets: every file loads, asks and scores as lm-eval's own do."""

from pathlib import Path

import lm_eval
import pytest
import yaml
from lm_eval.tasks import TaskManager

from harness_tasks.builders.mmlu import build
from helpers.task_runs import TASKS, Hashed, records, run

STOCK = Path(lm_eval.__file__).parent / "tasks"
FILES = sorted(
    file
    for name in (
        "arc",
        "boolq",
        "commonsense_qa",
        "gsm8k",
        "hotpotqa",
        "mmlu",
        "nq_open",
        "openbookqa",
        "piqa",
        "sciq",
        "selfaware",
        "simpleqa",
        "siqa",
        "trivia_qa",
        "truthfulqa",
        "winogrande",
    )
    for file in (TASKS / name).glob("calib_*.yaml")
    if "group:" not in file.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_task_asks_and_scores_with_every_default_method(file, hub):
    results = run(file.stem, include=file.parent, limit=6)
    scores, config = results["results"][file.stem], results["configs"][file.stem]
    assert config["metadata"]["version"] == 2.0
    assert 0 <= scores["acc,zero_shot_classifier"] <= 1
    # The replies are "right" and the like: they name no option, and no number.
    reads = config["output_type"] == "generate_until" and file.stem != "calib_gsm8k"
    assert (scores["answered,sampling"] > 0) is reads
    for record in records(results, file.stem, "zero_shot_classifier"):
        assert record["question"] in record["query"]
        assert record["query"].endswith("\nAnswer:")


def test_the_files_of_mmlus_subjects_are_what_the_script_writes(tmp_path):
    build(tmp_path)
    written = sorted(tmp_path.rglob("*.yaml"))
    assert len(written) == 2 * 57 + 2
    for file in written:
        shipped = TASKS / "mmlu" / file.relative_to(tmp_path)
        assert shipped.read_bytes() == file.read_bytes()


def test_the_groups_name_tasks_that_exist():
    manager = TaskManager(include_path=str(TASKS), include_defaults=False)
    names = set(manager.all_subtasks)
    for file in [TASKS / "calibration.yaml", *TASKS.glob("mmlu/calib_mmlu*.yaml")]:
        group = yaml.safe_load(file.read_text(encoding="utf-8").replace("!function", ""))
        if "group" in group:
            assert set(group["task"]) <= names


# ----------------------------------------------------------------- the same number as lm-eval's own

SAME_PROMPT = {
    "calib_mmlu_anatomy_mc": (TASKS / "mmlu", STOCK / "mmlu/default", "mmlu_anatomy"),
    "calib_commonsense_qa_mc": (
        TASKS / "commonsense_qa",
        STOCK / "commonsense_qa",
        "commonsense_qa",
    ),
    "calib_boolq_mc": (TASKS / "boolq", STOCK / "super_glue/boolq", "boolq"),
    "calib_piqa_cloze": (TASKS / "piqa", STOCK / "piqa", "piqa"),
    "calib_arc_easy_cloze": (TASKS / "arc", STOCK / "arc", "arc_easy"),
}


@pytest.mark.parametrize("ours", SAME_PROMPT)
def test_with_lm_evals_prompt_the_accuracy_is_lm_evals(ours, hub):
    folder, stock_folder, stock = SAME_PROMPT[ours]
    shots = 2 if "mmlu" in ours else 0  # lm-eval draws the other two tasks' examples at random
    results = run(
        ours,
        stock,
        include=[folder, stock_folder],
        metadata={"methods": ["likelihood"]},
        num_fewshot=shots,
    )
    scores = results["results"]
    assert scores[ours]["acc,likelihood"] == scores[stock]["acc,none"]
    assert 0 < scores[stock]["acc,none"] < 1


STOCK_FILES = {
    "openbookqa": ("openbookqa/openbookqa.yaml", "test"),
    "arc_easy": ("arc/arc_easy.yaml", "test"),
    "piqa": ("piqa/piqa.yaml", "validation"),
    "sciq": ("sciq/sciq.yaml", "test"),
    "truthfulqa_mc1": ("truthfulqa/truthfulqa_mc1.yaml", "validation"),
    "nq_open": ("nq_open/nq_open.yaml", "validation"),
}


@pytest.mark.parametrize("stock", STOCK_FILES)
def test_a_stock_task_file_becomes_a_confidence_task_with_the_same_accuracy(stock, hub, tmp_path):
    file, split = STOCK_FILES[stock]
    (tmp_path / "calib.yaml").write_text(
        f"task: calib_stock\ninclude: [{STOCK / file}, {TASKS / 'confidence_template_yaml'}]\n"
        f"test_split: {split}\n",
        encoding="utf-8",
    )
    results = run(
        "calib_stock",
        stock,
        include=[tmp_path, (STOCK / file).parent],
        metadata={"methods": ["zero_shot_classifier"]},
        num_fewshot=0,
    )["results"]
    filters = ("acc,none", "exact_match,remove_whitespace")
    (expected,) = (results[stock][name] for name in filters if name in results[stock])
    assert results["calib_stock"]["acc,zero_shot_classifier"] == expected
    assert 0 < expected < 1


def test_a_final_number_behind_the_marker_is_graded_as_lm_evals_gsm8k_does(hub):
    class Solves(Hashed):
        """Right for even numbers, with the separator of thousands that the data set has."""

        def reply(self, prompt):
            asked = int(prompt.rsplit("Add ", 1)[1].split(" ")[0])
            return f" Add them, 7 at a time.\n#### {1000 + asked + asked % 2:,}"

    results = run(
        "calib_gsm8k",
        "gsm8k",
        include=[TASKS / "gsm8k", STOCK / "gsm8k"],
        model=Solves(),
        metadata={"methods": ["zero_shot_classifier"]},
    )["results"]
    stock = results["gsm8k"]["exact_match,strict-match"]
    assert results["calib_gsm8k"]["acc,zero_shot_classifier"] == stock == 0.5
