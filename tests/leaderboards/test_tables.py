"""The tables that are built from a store: files, and names that stay text."""

import csv
import io
import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet
import pytest
from click.testing import CliRunner

from calib_leaderboards.pages.data import task_script
from calib_leaderboards.pages.models import bar_rows
from calib_leaderboards.pages.names import distinct, model_pages, size_text
from calib_leaderboards.pages.publish import build_store
from calib_leaderboards.tables.formats import csv_heading, csv_lines, flat, latex_table, to_latex
from calib_leaderboards.tables.notes import notes
from calib_leaderboards.tables.rows import table_rows
from calib_leaderboards.tables.table import tables_of
from helpers.board_entries import make_entry, make_samples, put, write_store
from helpers.leaderboard_runs import contents

UNSTABLE = ".parquet"  # its bytes depend on the version of pyarrow
HOSTILE = "</script><script>alert(1)</script>|`x`"
SCORE = {"ece": (0.1, 0.08, 0.12)}


def test_csv_and_parquet_hold_every_score_of_every_entry(tmp_path):
    methods = {
        "likelihood": {"ece": (0.1, 0.05, 0.2), "auroc": (0.8, 0.7, 0.9)},
        "verbalized": {"ece": (None, None, None)},
    }
    put(tmp_path / "store", make_entry(model="org/a", adapter="=tuned()", methods=methods))
    build_store(tmp_path / "store", tmp_path / "out")
    text = (tmp_path / "out/leaderboard.csv").read_text(encoding="utf-8")
    lines = list(csv.DictReader(io.StringIO(text)))
    table = pyarrow.parquet.read_table(tmp_path / "out/leaderboard.parquet").to_pylist()
    assert [(row["method"], row["metric"], row["value"], row["rank"]) for row in table] == [
        ("likelihood", "ece", 0.1, 1),
        ("likelihood", "auroc", 0.8, None),
        ("verbalized", "ece", None, None),
    ]
    assert [(row["method"], row["metric"], row["value"]) for row in lines] == [
        ("likelihood", "ece", "0.1"),
        ("likelihood", "auroc", "0.8"),
        ("verbalized", "ece", ""),
    ]
    assert table[0]["adapter"] == "=tuned()" and table[0]["higher_is_better"] is False
    assert lines[0]["adapter"] == "'=tuned()"  # no formula in a spreadsheet


def test_scores_of_stock_tasks_stand_in_the_same_tables(tmp_path):
    put(tmp_path / "store", make_entry(methods={"likelihood": {"ece": (0.1, 0.05, 0.2)}}))
    put(
        tmp_path / "store",
        make_entry(
            task="truthfulqa_mc2",
            source="lm_eval",
            methods={"none": {"acc": (0.41, 0.38, 0.44)}},
            label={"none": "none"},
        ),
    )
    page = build_store(tmp_path / "store", tmp_path / "out").read_text(encoding="utf-8")
    assert "## truthfulqa_mc2" in page and "| 0.410 (0.380–0.440) |" in page
    text = (tmp_path / "out/leaderboard.csv").read_text(encoding="utf-8")
    assert {row["task"] for row in csv.DictReader(io.StringIO(text))} == {
        "calib_worldfacts",
        "truthfulqa_mc2",
    }
    assert "truthfulqa\\_mc2" in (tmp_path / "out/leaderboard.tex").read_text(encoding="utf-8")


def test_the_page_of_a_model_has_its_command_and_charts(tmp_path):
    samples = make_samples(["likelihood"], 30, 0)
    put(
        tmp_path / "store",
        make_entry(
            model="org/a",
            methods={"likelihood": {"ece": (0.1, 0.05, 0.2)}},
            samples=samples,
            command="lm_eval run --model_args 'a=1'",
        ),
    )
    build_store(tmp_path / "store", tmp_path / "out")
    page = (tmp_path / "out/site/model/org__a.html").read_text(encoding="utf-8")
    assert "lm_eval run --model_args &#39;a=1&#39;" in page
    assert 'aria-label="Reliability of Likelihood' in page and "Risk and coverage of" in page
    assert 'href="https://huggingface.co/org/a"' in page


def test_building_again_writes_nothing_and_a_lost_file_is_made_again(tmp_path):
    store, out = tmp_path / "store", tmp_path / "out"
    write_store(store, models=3, tasks=2, methods=2)
    build_store(store, out)
    before, times = contents(out), {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    build_store(store, out)
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == times
    (out / "site/data/board.js").unlink()
    build_store(store, out)
    assert contents(out) == before
    csv = out / "leaderboard.csv"
    csv.write_bytes(csv.read_bytes().replace(b"0.45", b"0.95"))  # as long as before
    build_store(store, out)
    assert contents(out) == before
    build_store(store, tmp_path / "other")
    assert contents(tmp_path / "other") == before


def test_a_changed_store_changes_only_what_shows_it(tmp_path):
    store, out = tmp_path / "store", tmp_path / "out"
    files = write_store(store, models=3, tasks=1)
    build_store(store, out)
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.js")}
    for path in (files[0], files[0].with_name(files[0].stem + ".samples.jsonl.gz")):
        path.unlink()
    note = out / "site/model/mine.html"
    note.write_text("mine")
    build_store(store, out)
    assert note.exists() and not (out / "site/model/org0__model-000.html").exists()
    (kept,) = (out / "site/samples/org1__model-001").rglob("*.js")
    assert kept.stat().st_mtime_ns == stamps[kept]


def test_foreign_pages_and_missing_stores_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="calibench leaderboard add"):
        build_store(tmp_path / "none", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="has no entries"):
        build_store(tmp_path / "empty", tmp_path / "out")
    write_store(tmp_path / "store", models=1, tasks=1)
    (tmp_path / "README.md").write_text("my own page")
    with pytest.raises(FileExistsError, match="choose another output folder"):
        build_store(tmp_path / "store", tmp_path)
    assert (tmp_path / "README.md").read_text() == "my own page"


def test_a_note_of_the_last_build_cannot_remove_other_files(tmp_path):
    store, out = tmp_path / "store", tmp_path / "out"
    write_store(store, models=1, tasks=1)
    build_store(store, out)
    outside = tmp_path / "outside.txt"
    outside.write_text("precious")
    note = out / ".build/state.json"
    made = json.loads(note.read_text())
    made["shared"][1].append("../outside.txt")
    note.write_text(json.dumps(made))
    build_store(store, out)
    assert outside.read_text() == "precious"


def test_hostile_names_stay_text_in_every_file(tmp_path):
    store, out = tmp_path / "store", tmp_path / "out"
    samples = make_samples(["likelihood"], 30, 0)
    scores = {"likelihood": {"ece": (0.1, 0.05, 0.2), "auroc": (0.8, 0.7, 0.9)}}
    for name in (HOSTILE, "../../x"):
        put(
            store,
            make_entry(
                model=name,
                task=HOSTILE,
                adapter=HOSTILE,
                methods=scores,
                samples=samples,
                label={"likelihood": HOSTILE},
                command=HOSTILE,
            ),
        )
    build_store(store, out)
    files = contents(tmp_path)
    assert {name.split("/")[0] for name in files} == {"store", "out"}
    for name, content in files.items():
        if name.startswith("out/") and name.endswith((".html", ".js", ".svg", ".md")):
            text = content.decode("utf-8")
            assert "<script>alert" not in text and "</script><script>" not in text, name
    (data,) = (path for path in (out / "site/data").glob("*.js") if "board" not in path.name)
    task = json.loads(data.read_text().removeprefix("calibenchTask(").rstrip(");\n"))
    assert {model[0] for model in task["models"]} == {HOSTILE, "../../x"}
    page = (out / "README.md").read_text(encoding="utf-8")
    tables = [block.splitlines() for block in page.split("\n\n") if block.startswith("| ")]
    assert [len({line.count("|") for line in lines}) for lines in tables] == [1]
    assert set(re.findall(r"</?([a-zA-Z]+)", page)) <= {"img", "details", "summary"}


def test_links_of_the_pages_lead_to_files_and_anchors_of_the_site(tmp_path):
    store, out = tmp_path / "store", tmp_path / "out"
    write_store(store, models=4, tasks=2, methods=2)
    build_store(store, out)
    pages = list((out / "site").rglob("*.html"))
    assert len(pages) == 8
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r'(?:href|src)="([^"]+)"', text):
            if link.startswith(("https://huggingface.co/", "data:,")):
                continue
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            assert target.is_file(), f"{page.name}: {link}"
            assert not anchor or f'id="{anchor}"' in target.read_text(encoding="utf-8"), link


def test_models_whose_names_differ_in_case_alone_have_pages_of_their_own():
    pages = model_pages(["org/Model", "org/model", "org/other"])
    assert len({page.lower() for page in pages.values()}) == 3


def test_bars_say_which_model_adapter_and_setting_where_there_are_several():
    def labels(*entries):
        scores = {"likelihood": {"ece": (0.1, 0.0, 0.2)}, "sampling": {"ece": (0.1, 0.0, 0.2)}}
        made = [
            make_entry(methods=dict([item]), model=model, adapter=adapter, setting=setting)[0]
            for item, (model, adapter, setting) in zip(scores.items(), entries, strict=True)
        ]
        return sorted(bar_rows(table_rows(made))[0])

    # Each method once: still, nobody could tell whose a bar is without the model's name.
    assert labels(("org/a", None, "0-shot"), ("org/b", None, "0-shot")) == [
        ("Likelihood", "org/a"),
        ("Sampling", "org/b"),
    ]
    assert labels(("org/a", None, "0-shot"), ("org/a", None, "0-shot_chat")) == [
        ("Likelihood", ""),  # the chat is another setting, which the figure leaves out
    ]
    assert labels(("org/a", "x", "0-shot"), ("org/a", "y", "0-shot")) == [
        ("Likelihood", "x"),
        ("Sampling", "y"),
    ]
    assert labels(("org/a", None, "0-shot"), ("org/a", "x", "0-shot_frozen-0000000f")) == [
        ("Likelihood", ""),
        ("Sampling", ""),
    ]
    # Two methods of one adapter: their names tell them apart, their settings need not.
    frozen = "0-shot_frozen-0000000f"
    assert labels(("org/a", "x", frozen), ("org/a", "x", f"{frozen}_combined-00000001")) == [
        ("Likelihood", ""),
        ("Sampling", ""),
    ]


def test_sizes_and_labels_are_short_and_tell_apart():
    assert [size_text(n) for n in (None, 134_515_008, 1_000_000_000, 7_241_732_096)] == [
        "",
        "135M",
        "1B",
        "7.2B",
    ]
    rows = [("Fine-Tuned", "a", "own"), ("Fine-Tuned", "a", "frozen"), ("Sampling", "a", "own")]
    assert distinct(rows) == ["Fine-Tuned (own)", "Fine-Tuned (frozen)", "Sampling"]


def test_the_data_script_is_plain_ascii_that_ends_no_element():
    scores = {"likelihood": {"ece": (0.1, 0.0, 0.2)}}
    entry = make_entry(model="org/</ScRiPt>\u2028é", methods=scores)[0]
    (table,) = tables_of(table_rows([entry]))
    text = task_script(table, {entry.model.name: "model/x.html"}).decode("ascii")
    task = json.loads(text.removeprefix("calibenchTask(").removesuffix(");\n"))
    assert "<" not in text and entry.model.name in task["models"][0]


def test_the_command_builds_a_store_and_explains_what_does_not_fit(tmp_path):
    from calibench.cli import cli

    write_store(tmp_path / "store", models=1, tasks=1)
    run = CliRunner().invoke
    store, out = tmp_path / "store", tmp_path / "out"
    given = ["leaderboard", "build", "--store", str(store), "-o", str(out)]
    done = run(cli, given)
    assert done.exit_code == 0 and done.output.strip() == str(out / "README.md")
    assert run(cli, [*given, str(tmp_path)]).exit_code == 2
    assert "Give -o" in run(cli, ["leaderboard", "build", str(tmp_path)]).output


def test_the_published_tables_are_those_of_the_published_entries(tmp_path):
    board = Path(__file__).parents[2] / "leaderboards"
    shutil.copytree(board / "results", tmp_path / "results")
    build_store(tmp_path / "results", tmp_path)
    made = {name: data for name, data in contents(tmp_path).items() if not name.endswith(UNSTABLE)}
    assert made.keys() >= {"README.md", "leaderboard.csv", "site/index.html", "site/data/board.js"}
    # The rest is made where it is wanted, and not kept in the repository.
    kept = {name: data for name, data in made.items() if not name.startswith("site/")}
    kept.pop("leaderboard.tex")
    for name, data in kept.items():
        assert (board / name).read_bytes() == data, f"{name}: run `calibench leaderboard build`"


def test_a_table_says_which_methods_have_the_same_confidences():
    values = {"ece": (0.2, 0.1, 0.3), "auroc": (0.7, 0.6, 0.8), "brier": (0.25, 0.2, 0.3)}
    method = {"zero_shot_classifier": values}
    samples = make_samples(list(method), 40, seed=0)
    base = make_entry(methods=method, samples=samples)[0]
    copied = make_entry(methods=method, samples=samples, adapter="tuned")[0]
    method = {"zero_shot_classifier": {**values, "brier": (0.26, 0.2, 0.3)}}
    other = make_entry(methods=method, samples=samples, model="org/two")[0]
    (note,) = notes(table_rows([base, other, copied]))
    assert note.startswith(
        "Zero-Shot Classifier of org/one (3-shot); Zero-Shot Classifier of org/one with tuned "
        "(3-shot): the same confidences in every answer, to the last bit. Check that each"
    )
    assert notes(table_rows([base, other])) == []


@pytest.mark.parametrize("name", ["=cmd|'/C calc'!A1", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_name_that_begins_like_a_formula_is_text_in_the_csv(name):
    entry, _ = make_entry(model=name, label={"likelihood": name}, methods={"likelihood": SCORE})
    text = csv_heading() + csv_lines(flat(table_rows([entry])))
    (row,) = csv.DictReader(io.StringIO(text.decode(), newline=""))
    assert row["model"] == row["label"] == "'" + re.sub(r"[\t\r]", " ", name)


@pytest.mark.parametrize(
    "name", [r"\input{/etc/passwd}", r"\write18{id}", "a%\nb", "}\\end{table}", "$x^2$ & #1_~"]
)
def test_a_name_is_text_in_the_latex_table(name):
    entry, _ = make_entry(model=name, label={"likelihood": name}, methods={"likelihood": SCORE})
    plain, _ = make_entry(model="m", label={"likelihood": "l"}, methods={"likelihood": SCORE})
    page, usual = (
        to_latex(latex_table(table, 5) for table in tables_of(table_rows([made]))).decode()
        for made in (entry, plain)
    )
    commands = re.compile(r"\\[A-Za-z]+|(?<!\\)[{}$&%#_^~]|\n")
    escapes = re.compile(r"\\(?:textbackslash|textasciitilde|textasciicircum)\{\}|\\[{}$&%#_]")
    assert commands.findall(escapes.sub("", page)) == commands.findall(usual)


@pytest.mark.parametrize("name", ["](javascript:alert(1))", "`x` | y", "a\n\n# b", "<b>", "**c**"])
def test_a_name_is_text_in_the_markdown_page(name, tmp_path):
    made = make_entry(model="m", label={"likelihood": name}, methods={"likelihood": SCORE})
    put(tmp_path / "store", made)
    build_store(tmp_path / "store", tmp_path / "out")
    page = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith("| ") and "0.100" in line]
    assert len(re.findall(r"(?<!\\)\|", line)) == len(
        re.findall(r"(?<!\\)\|", page.splitlines()[page.splitlines().index(line) - 1])
    )
    assert not re.search(
        r"(?<!\\)\]\(javascript|(?<!\\)`x|<b>|^# b|(?<!\\)\*\*c", page, re.MULTILINE
    )
