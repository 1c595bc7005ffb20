"""Task folders from a user's own table: every template is written by the command and runs."""

import lm_eval
import pytest
from click.testing import CliRunner
from lm_eval.tasks import TaskManager

from calibench.cli import cli
from harness_tasks.templates.write import TEMPLATES, write_task
from helpers.template_rows import PAIRS, jsonl

TABLES = {
    "general": PAIRS,
    "llm_as_judge": [
        {"prompt": "Write a poem.", "answer": "Roses."},
        {"prompt": "And a joke.", "answer": "Knock, knock."},
    ],
    "truthfulqa": [
        {
            "question": "Do pigs fly?",
            "correct_answers": ["No", "They do not"],
            "incorrect_answers": ["Yes"],
        },
        {
            "question": "Is it {{late}}?",
            "correct_answers": ["It may be"],
            "incorrect_answers": ["Always", "Never"],
        },
    ],
    "classification": [
        {"text": "I love it", "label": "good"},
        {"text": "I hate it", "label": "bad: {x}"},
    ],
    "confidence": [{"question": row["prompt"], "reference": row["reference"]} for row in PAIRS],
    "custom": [{"a": 1, "b": 2, "reference": "3"}, {"a": 2, "b": 2, "reference": "4"}],
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Every template, written by the command and run by lm-eval with the dummy model, once."""
    root = tmp_path_factory.mktemp("templates")
    for template, rows in TABLES.items():
        file = jsonl(root / f"{template}.jsonl", rows)
        arguments = ["template", template, "--data", str(file), "-o", str(root / f"my_{template}")]
        if template == "custom":
            arguments += ["--prompt", "{{a}} + {{b}} =", "--metrics", "exact_match,bleu"]
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 0, done.output
    tasks = [f"my_{template}" for template in TABLES if template != "llm_as_judge"]
    tasks += ["my_llm_as_judge_judge_ratings", "my_llm_as_judge_judge_verdict"]
    manager = TaskManager(include_path=str(root), include_defaults=False)
    return root, lm_eval.simple_evaluate(
        model="dummy", tasks=tasks, task_manager=manager, bootstrap_iters=10, log_samples=True
    )


def test_every_template_is_listed_by_the_command_and_tested_here():
    assert TABLES.keys() == TEMPLATES.keys()
    listed = CliRunner().invoke(cli, ["template", "--help"]).output
    for template in TEMPLATES:
        assert template in listed


def test_every_template_gives_a_task_that_lm_eval_runs_on_every_row(ran):
    _, results = ran
    for task, samples in results["samples"].items():
        template = next(name for name in TABLES if task.startswith(f"my_{name}"))
        assert {sample["doc_id"] for sample in samples} == set(range(len(TABLES[template])))


@pytest.mark.parametrize(
    ("task", "metrics"),
    [
        (
            "my_general",
            {"exact_match", "f1", "bleu", "chrf", "rouge1", "rouge2", "rougeL", "rougeLsum"},
        ),
        ("my_classification", {"acc", "precision", "recall", "f1", "cross_entropy", "ece"}),
        (
            "my_truthfulqa_gen",
            {
                f"{name}_{kind}"
                for name in ("bleu", "rouge1", "rouge2", "rougeL")
                for kind in ("max", "acc", "diff")
            },
        ),
        ("my_truthfulqa_mc1", {"acc"}),
        ("my_truthfulqa_mc2", {"acc"}),
        ("my_custom", {"exact_match", "bleu"}),
        ("my_llm_as_judge_judge_depth", {"rating", "parsed"}),
        ("my_llm_as_judge_judge_verdict", {"judged_correct", "parsed", "answered"}),
    ],
)
def test_a_template_reports_its_metrics(ran, task, metrics):
    row = ran[1]["results"][task]
    names = {key.split(",")[0] for key in row if "," in key}
    assert {name for name in names if not name.endswith("_stderr")} == metrics


def test_the_confidence_template_asks_every_method(ran):
    row = ran[1]["results"]["my_confidence"]
    for method in ("likelihood", "zero_shot_classifier", "verbalized", "sampling"):
        assert f"ece,{method}" in row


def test_prompts_are_shown_as_they_stand_in_the_data(ran):
    samples = ran[1]["samples"]
    prompts = [sample["arguments"][0][0] for sample in samples["my_general"]]
    assert prompts == [row["prompt"] for row in PAIRS]
    # Braces in the data are text, not a template.
    assert samples["my_truthfulqa_gen"][1]["arguments"][0][0] == "Q: Is it {{late}}?\nA:"
    assert "bad: {x}, good?" in samples["my_classification"][0]["arguments"][0][0]
    assert samples["my_custom"][1]["arguments"][0][0] == "2 + 2 ="


def test_truthfulqa_options_are_the_best_answer_and_all_answers(ran):
    samples = ran[1]["samples"]
    options = {
        kind: [argument[1] for argument in samples[f"my_truthfulqa_{kind}"][0]["arguments"]]
        for kind in ("mc1", "mc2")
    }
    assert options == {"mc1": [" No", " Yes"], "mc2": [" No", " They do not", " Yes"]}


def test_the_judge_is_shown_the_answers_of_the_table(ran):
    prompt = ran[1]["samples"]["my_llm_as_judge_judge_creativity"][1]["arguments"][0][0]
    assert "Question: And a joke.\nAnswer: Knock, knock.\n" in prompt
    assert "Reference" not in prompt


def test_the_readme_names_the_task_of_the_command_it_gives(ran):
    root, results = ran
    for template in TABLES:
        page = (root / f"my_{template}" / "README.md").read_text(encoding="utf-8")
        task = page.split("--tasks ")[1].split()[0]
        subtasks = results["group_subtasks"].get(task, [task])
        assert set(subtasks) <= results["results"].keys()


def test_answers_are_asked_for_first_where_the_table_has_none(tmp_path):
    file = jsonl(tmp_path / "my.jsonl", [{"prompt": "Why?"}, {"prompt": "How?"}])
    write_task("llm_as_judge", file, tmp_path / "chat")
    files = {path.name for path in (tmp_path / "chat").iterdir()}
    assert {"chat.yaml", "chat_judge_depth.yaml", "chat_judge_pairwise.yaml"} <= files
    page = (tmp_path / "chat" / "README.md").read_text(encoding="utf-8")
    assert """--metadata '{"answers": "runs/chat"}'""" in page
    some = jsonl(tmp_path / "some.jsonl", [{"prompt": "Why?", "answer": "So."}, {"prompt": "How?"}])
    with pytest.raises(ValueError, match="row 2, column 'answer': the cell is empty, but"):
        write_task("llm_as_judge", some, tmp_path / "other")


def test_the_truthfulqa_template_scores_as_the_stock_task_does(ran):
    from lm_eval.tasks.truthfulqa.utils import preprocess_function, process_results_gen

    row = TABLES["truthfulqa"][0]
    sample = ran[1]["samples"]["my_truthfulqa_gen"][0]
    expected = process_results_gen(preprocess_function(row), [sample["resps"][0][0]])
    assert {name: sample[name] for name in expected} == expected
