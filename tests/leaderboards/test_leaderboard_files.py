"""The files of a leaderboard of runs: previews, bytes, hostile names, and the command."""

import hashlib
import json
import re

import pytest
from click.testing import CliRunner

from calib_leaderboards.markdown import escape
from calib_leaderboards.runs.run import last_part
from calib_leaderboards.store import add
from calibench.publish import read_train_accuracy
from helpers.leaderboard_runs import (
    TASK,
    build,
    confidences,
    contents,
    questions,
    values_of,
    write_adapter_run,
    write_run,
)

METHODS = ("likelihood", "zero_shot_classifier", "verbalized", "sampling")


# ---------------------------------------------------------------------------------------- previews


def test_a_run_with_a_limit_is_marked_in_every_file_and_never_added(tmp_path):
    write_run(tmp_path / "run", {"likelihood": confidences()}, limit=60.0, whole=900)
    page, out = build([tmp_path], tmp_path / "out"), tmp_path / "out"
    sentence = "Preview: 60 of 900 questions; cannot be added to a leaderboard."
    assert f"**{sentence}**" in page
    assert sentence in (out / "site/model/SmolLM2-135M-Instruct.html").read_text(encoding="utf-8")
    for name in ("index", "tasks", "compare", "models"):
        assert "Preview: rows" in (out / f"site/{name}.html").read_text(encoding="utf-8")
    (data,) = (out / "site/data").glob(f"{TASK}-*.js")
    for file in (data, out / "leaderboard.csv", out / "leaderboard.tex"):
        assert "preview-60-of-900" in file.read_text(encoding="utf-8"), file
    drawn = (out / f"figures/{TASK}_bars.svg").read_text(encoding="utf-8")
    assert "preview: 60 of 900 questions" in drawn
    with pytest.raises(ValueError, match=r"asked 60 of the 900 questions .* \(--limit 60\.0\)"):
        add([tmp_path / "run"], tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_chosen_questions_are_a_preview_and_whole_runs_are_none(tmp_path):
    _, samples = write_run(tmp_path / "some", {"likelihood": confidences()}, whole=900)
    rows = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    chosen = [json.dumps({**row, "doc_id": 3 * row["doc_id"] + 1}) for row in rows]
    samples.write_text("\n".join(chosen), encoding="utf-8")  # as --samples logs them
    assert "Preview: 60 of 900" in build([tmp_path], tmp_path / "out")
    write_run(tmp_path / "all", {"likelihood": confidences()})
    build([tmp_path / "all"], tmp_path / "out")
    for name, content in contents(tmp_path / "out").items():
        assert b"review: " not in content and b"preview-" not in content, name


# ------------------------------------------------------------------------------------------- files


def test_the_same_inputs_give_the_same_bytes_in_any_order(tmp_path):
    write_run(tmp_path / "base", {name: confidences(seed=i) for i, name in enumerate(METHODS)})
    write_adapter_run(tmp_path / "tuned", {"zero_shot_classifier": confidences()})
    runs = [tmp_path / "base", tmp_path / "tuned"]
    build(runs, tmp_path / "one", train_accuracy=0.5)
    build(runs[::-1], tmp_path / "two", train_accuracy=0.5)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
    figures = {f"figures/{TASK}_bars.{kind}" for kind in ("svg", "png")}
    assert {"README.md", "leaderboard.csv", "site/index.html", *figures} <= one.keys()
    assert {name for name in one if name.startswith("site/samples/")} == {
        f"site/samples/SmolLM2-135M-Instruct/{variant}.js" for variant in ("main", "my_adapter")
    }


def test_hostile_names_stay_text_and_stay_inside_the_folder(tmp_path):
    docs = [{**doc, "question": "<b>x</b>"} for doc in questions()]
    write_run(
        tmp_path / "run",
        {"../../up": confidences(), "<img src=x>\n```$\\\\frac$": confidences(seed=3)},
        docs,
        task="../../escaped task",
        model_args={
            "pretrained": "$\\bad$ a|b<script>\n# `x`",
            "note": "](javascript:1)",
        },
    )
    before = set(tmp_path.rglob("*"))
    page = build([tmp_path / "run"], tmp_path / "out")
    made = set(tmp_path.rglob("*")) - before
    assert all((tmp_path / "out") in (path, *path.parents) for path in made)
    assert set(re.findall(r"</?([a-zA-Z]+)", page)) <= {"img"}
    assert "](javascript" not in page and "```" not in page
    assert "a&#124;b&lt;script&gt; # &#96;x&#96;" in page
    tables = [block.splitlines() for block in page.split("\n\n") if block.startswith("| ")]
    assert len(tables) == 2  # the overview, and that of the task
    for table in tables:
        assert len({line.count("|") for line in table}) == 1
    assert f"figures/escaped-task-{hashlib.sha256(b'../../escaped task').hexdigest()[:8]}" in {
        name.split("_")[0] for name in contents(tmp_path / "out")
    }
    for link in re.findall(r'src="([^"]+)"', page):
        assert (tmp_path / "out" / link).resolve().is_file()
    for site in (tmp_path / "out/site").rglob("*.html"):
        assert "<img" not in site.read_text(encoding="utf-8")


def test_pages_hold_hashes_and_versions_but_no_folder_or_credential(tmp_path):
    arguments = {"pretrained": str(tmp_path / "model"), "dtype": "float32", "api_key": "sesame"}
    _, samples = write_run(tmp_path / "run", {"likelihood": confidences()}, model_args=arguments)
    build([tmp_path / "run"], tmp_path / "out")
    page = (tmp_path / "out/site/model/model.html").read_text(encoding="utf-8")
    assert hashlib.sha256(samples.read_bytes()).hexdigest() in page
    assert "lm_eval 0.4.13, transformers 5.23.0, torch 2.13.0+cpu" in page
    assert "--model_args dtype=float32,pretrained=model " in page
    assert f"--tasks {TASK} " in page and "fewshot_seed 1234" in page
    for name, content in contents(tmp_path / "out").items():
        assert str(tmp_path).encode() not in content and b"sesame" not in content, name


def test_a_page_of_another_origin_is_not_overwritten(tmp_path):
    write_run(tmp_path / "run", {"likelihood": confidences()})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("# My project\n", encoding="utf-8")
    with pytest.raises(FileExistsError, match="README.md"):
        build([tmp_path / "run"], tmp_path / "out")
    assert contents(tmp_path / "out") == {"README.md": b"# My project\n"}


def test_a_second_build_drops_the_files_of_the_first_and_nothing_else(tmp_path):
    write_run(tmp_path / "a", {"likelihood": confidences()}, task="calib_other")
    write_run(tmp_path / "b", {"likelihood": confidences()})
    build([tmp_path / "a"], tmp_path / "out")
    mine = tmp_path / "out" / "figures" / "mine.png"
    mine.write_bytes(b"x")
    build([tmp_path / "b"], tmp_path / "out")
    names = contents(tmp_path / "out").keys()
    assert {"figures/mine.png", f"figures/{TASK}_bars.png"} <= names
    assert not [name for name in names if "calib_other" in name or name.startswith(".")]


# ------------------------------------------------------------------------------------------- words


def test_escape_keeps_ordinary_names_readable():
    assert escape("calib_worldfacts 1.0 (SmolLM2-135M)") == "calib_worldfacts 1.0 (SmolLM2-135M)"
    assert escape("_x_ a*b") == "&#95;x&#95; a&#42;b"


@pytest.mark.parametrize(
    "path, name",
    [
        ("/cache/SmolLM2-135M-Instruct-b179c9523d0e", "SmolLM2-135M-Instruct"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct"),
        ("C:\\models\\tiny\\", "tiny"),
        ("../..", ".."),
    ],
)
def test_a_model_is_named_by_the_last_part_of_its_path(path, name):
    assert last_part(path) == name


def test_train_accuracy_comes_from_the_graded_data_set(tmp_path):
    (tmp_path / "grading.json").write_text('{"splits": {"train": {"n": 4, "accuracy": 0.75}}}')
    assert read_train_accuracy(tmp_path) == 0.75
    (tmp_path / "grading.json").write_text('{"splits": {}}')
    with pytest.raises(ValueError, match="train split"):
        read_train_accuracy(tmp_path)
    with pytest.raises(FileNotFoundError, match="calibench grade"):
        read_train_accuracy(tmp_path / "none")


def test_the_command_takes_runs_and_a_graded_data_set(tmp_path):
    from calibench.cli import cli

    write_run(tmp_path / "run", {"likelihood": confidences()}, limit=60.0, whole=900)
    (tmp_path / "grading.json").write_text('{"splits": {"train": {"n": 4, "accuracy": 0.75}}}')
    arguments = ["leaderboard", "build", str(tmp_path / "run"), "--graded", str(tmp_path)]
    done = CliRunner().invoke(cli, [*arguments, "-o", str(tmp_path / "out")])
    assert done.output.strip() == str(tmp_path / "out" / "README.md")
    assert values_of(tmp_path / "out", method="constant")["auroc"] == 0.5
