"""The section "A run" of a task's README is written from a run's log."""

import json

import pytest

from harness_tasks.builders.evidence import HEADING, MARKER, describe_run, write_readme
from harness_tasks.elicitation.settings import parse_settings

TASK = "calib_x"
STAMP = "2026-01-01T00-00-00.000000"
README = f"# X\n\n{HEADING}\n\nRead with care.\n\n{MARKER}\n\nold table\n\n## Changelog\n\n- 1.0\n"


def write_run(folder, rows, metadata, results=()):
    """rows: (method, confidence, correct)."""
    folder.mkdir()
    base = {"task": TASK, "split": "test", "question": "?", "answer": "a", "reason": None}
    lines = []
    for number, (method, confidence, correct) in enumerate(rows):
        record = {
            **base,
            "id": str(number),
            "method": method,
            "confidence": confidence,
            "correct": correct,
        }
        row = {"doc_id": number, "filter": method, "filtered_resps": [json.dumps(record)]}
        lines.append(json.dumps(row))
    (folder / f"samples_{TASK}_{STAMP}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    content = {
        "results": {TASK: {"name": TASK, "alias": TASK, **dict(results)}},
        "configs": {TASK: {"metadata": parse_settings(TASK, metadata).model_dump(mode="json")}},
        "n-shot": {TASK: 5},
        "config": {
            "model": "hf",
            "batch_size": "20",
            "limit": 4.0,
            "model_args": {"pretrained": "/somebody/model", "dtype": "bfloat16"},
        },
    }
    (folder / f"results_{STAMP}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


FOUR = [
    ("verbalized", 0.5, 1),
    ("verbalized", 0.5, 0),
    ("verbalized", 1.0, 1),
    ("verbalized", None, 0),
]


def test_scores_are_those_of_the_logged_answers(tmp_path):
    run = write_run(tmp_path / "run", FOUR, {"methods": ["verbalized"]})
    head, row = describe_run(run).splitlines()[0], describe_run(run).splitlines()[-1]
    assert "4 questions, 5 examples, `acc` 0.500 (" in head
    # By hand, over the three confidences: two of .5 with half of them right, and one of 1, right.
    cells = [cell.split(" (")[0].strip() for cell in row.strip("|").split("|")]
    assert cells == ["`verbalized`", "0.000", "0.750", "0.167", "3 of 4"]


def test_the_command_names_no_folder_of_the_machine_and_what_was_chosen(tmp_path):
    run = write_run(tmp_path / "run", FOUR, {"methods": "all", "k": 5})
    text = describe_run(run)
    assert "/somebody" not in text
    assert "--model_args pretrained=$(calibench model),dtype=bfloat16 \\" in text
    assert f"--tasks {TASK} --num_fewshot 5 --limit 4 --batch_size 20 \\" in text
    assert """--metadata '{"methods": "all", "k": 5}'""" in text


def test_measures_that_only_this_task_has_stand_behind_the_others(tmp_path):
    own = {"abstention_f1,verbalized": 0.25, "abstention_f1_stderr,verbalized": 0.125}
    text = describe_run(write_run(tmp_path / "run", FOUR, {"methods": ["verbalized"]}, own))
    assert "| `answered` | `abstention_f1` |" in text
    assert text.splitlines()[-1].endswith("| 3 of 4 | 0.250 ± 0.125 |")


def test_only_what_follows_the_marker_is_replaced(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(README, encoding="utf-8")
    write_readme(readme, "new table\n")
    assert readme.read_text(encoding="utf-8") == README.replace("old table", "new table")
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_a_readme_without_the_section_is_refused(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# X\n", encoding="utf-8")
    with pytest.raises(ValueError, match="README.md has no section '## A run'"):
        write_readme(readme, "new\n")


def test_a_run_without_samples_is_refused(tmp_path):
    run = write_run(tmp_path / "run", FOUR, {"methods": ["verbalized"]})
    next(run.glob("samples_*")).unlink()
    with pytest.raises(FileNotFoundError, match="--log_samples"):
        describe_run(run)
    with pytest.raises(FileNotFoundError, match="--output_path"):
        describe_run(tmp_path / "nowhere")
