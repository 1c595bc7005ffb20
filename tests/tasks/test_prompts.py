"""The prompts in the READMEs are those that the model is shown, on the real data sets."""

import re
from pathlib import Path

import datasets
import pytest
from lm_eval.tasks import TaskManager

from helpers.task_runs import TASKS

HUB = Path(__file__).parents[3] / "shared" / "hub"
SHOWN = {
    "boolq": "calib_boolq_mc",
    "commonsense_qa": "calib_commonsense_qa_mc",
    "gsm8k": "calib_gsm8k",
    "mmlu": "calib_mmlu_anatomy_mc",
    "nq_open": "calib_nq_open",
    "openbookqa": "calib_openbookqa_mc",
    "piqa": "calib_piqa_mc",
    "selfaware": "calib_selfaware",
    "siqa": "calib_siqa_mc",
    "trivia_qa": "calib_trivia_qa",
    "truthfulqa": "calib_truthfulqa_mc",
    "winogrande": "calib_winogrande_mc",
}


@pytest.fixture(scope="module")
def offline_hub(tmp_path_factory):
    if not HUB.is_dir():
        pytest.skip("the offline copy of the data sets (../shared/hub) is not beside this checkout")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(HUB)
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))
        yield


@pytest.mark.parametrize("folder", SHOWN)
def test_the_readme_shows_the_first_questions_prompt(folder, offline_hub):
    manager = TaskManager(include_path=str(TASKS / folder), include_defaults=False)
    task = manager.load([SHOWN[folder]])["tasks"][SHOWN[folder]]
    _, doc = next(task.doc_iterator(limit=1))
    readme = (TASKS / folder / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"## The prompt\n.*?\n```\n(.*?)\n```", readme, re.S)[1]
    shown = shown.replace("{passage}", doc.get("passage", ""))  # a long one is not printed
    assert shown == task.fewshot_context(doc, 0)
