"""Cases of the commands that read logs: score, grade, gate, leaderboard."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml
from click.testing import CliRunner

from audit import inputs
from audit.damage import Expected
from audit.suites import Suite
from audit.trial import Case
from calibench.cli import cli

FEW = ("--resamples", "5")
_COUNTED = "the results file says how many rows there are"


def _field(path: tuple, name: str) -> Expected:
    """Fields of a row of a log without which it cannot be what it says."""
    if path == ("filter",):
        return "refused"
    if path == ("doc_id",):
        return "any" if "integer" in name and "negative" not in name else "refused"
    if path == ("filtered_resps",):
        return "refused"
    return "any"


def _recorded(path: tuple, name: str) -> Expected:
    """Fields of a record."""
    if path == ("task",):  # a text may be another task
        return (
            "any" if name in ("a text", "a text of a megabyte", "half a character") else "refused"
        )
    if path == ("method",):
        return "refused"
    if path == ("id",):
        return "any" if "text" in name or "integer" in name or name in ("-1", "half a character") \
            else "refused"  # fmt: skip
    if path == ("confidence",):
        return "any" if name in ("half", "null") else "refused"
    if path == ("correct",):
        return "any" if name in ("true", "null") else "refused"
    return "any"


def score(root: Path, run: dict[str, bytes]) -> Iterator[Case]:
    """`calibench score` of the two logs of a run, and of its folder."""
    for task in ("calib_openbookqa_mc", "truthfulqa_mc1"):
        name = next(each for each in run if each.startswith(f"samples_{task}"))
        suite = Suite(f"score {task}", root, run, ["score", name, *FEW])
        yield from suite.valid()
        yield from suite.of_bytes(name, "log")
        yield from suite.of_places(name)
        if task.startswith("calib"):
            yield from suite.of_rows(name, _field)
            yield from suite.of_rows(name, _recorded, inside="record")
            yield from suite.of_rows(name, _recorded, inside="record", place=0)
        else:
            yield from suite.of_rows(name, _of_options)
            yield from suite.of_rows(name, _of_options, place=0)
        results = next(each for each in run if each.startswith("results"))
        yield from suite.of_bytes(results, "json", **_LATE_REFUSALS)
        yield from suite.of_object(results, depth=2)
    suite = Suite("score folder", root, run, ["score", ".", *FEW])
    yield from suite.valid()
    yield from suite.of_bytes(name, "log", **dict.fromkeys(_NO_LOG, "any"))  # type: ignore[arg-type]
    yield from suite.of_options({
        ("--method", "nothing"): "refused", ("--by", "nothing"): "refused",
        ("--scale", "percent"): "refused", ("--metrics", "multiclass_nll"): "any",
        ("--group", "task"): "any", ("--by", "doc_id"): "any", ("--format", "csv"): "refused",
        ("--confidence", "x"): "any",
    })  # fmt: skip


# What stands in the place of a log may be no log, beside one that is.
_NO_LOG = (
    "empty", "white_space", "random_bytes", "zeros", "a_pickle", "a_zip_archive", "a_PDF",
    "a_web_page", "one_word", "UTF-16", "nested_deeply", "nested_deeply_in_an_object",
)  # fmt: skip
# The results beside a log are a check of it, and not needed.
_LATE_REFUSALS: dict[str, Expected] = {
    f"the_value_{value}": "any" for value in ("null", "1", '"text"', "[]", "{}", "NaN", "[1,_2]")
}


def _of_options(path: tuple, name: str) -> Expected:
    if path == ("filtered_resps",) or path == ("arguments",):
        return "refused"
    if path[:1] == ("filtered_resps",) and len(path) == 3 and path[-1] == 0:
        return "any" if name in ("-1", "half", "NaN") else "refused"
    if path == ("acc",):
        return "any" if name in ("true", "a huge integer") else "refused"
    return "any"


def grade(root: Path) -> Iterator[Case]:
    """`calibench grade`."""
    files = {f"run/{name}": content for name, content in inputs.graded_log().items()}
    log, results = sorted(files, key=lambda name: "samples" not in name)
    suite = Suite("grade", root, files, ["grade", "run", "-o", "o"], ["o"])
    yield from suite.valid()
    # Without the number of rows in the results file, a shorter log cannot be told from a whole one.
    yield from suite.of_bytes(log, "log", cut_at_the_end_of_a_line="any")
    yield from suite.of_places(log)
    yield from suite.of_rows(log, _field)
    yield from suite.of_rows(log, _graded, inside="record")
    yield from suite.of_bytes(results, "json", **_LATE_REFUSALS)
    yield from suite.of_object(results)
    yield from suite.of_outputs("o")
    yield from suite.of_options({
        ("--method", "nothing"): "refused", ("--method", ""): "refused", ("missing",): "refused",
        ("run",): "any", (".",): "any", ("/dev/null",): "refused", ("-o", ""): "refused",
    })  # fmt: skip


def _graded(path: tuple, name: str) -> Expected:
    if path in (("split",), ("query",), ("yes",), ("no",), ("context",), ("answer_text",)):
        texts = ("a text", "a text of a megabyte")
        either = (*texts, "an empty text", "half a character")
        return "any" if name in either or (path, name) == (("query",), "missing") else "refused"
    if path == ("correct",) and name == "null":
        return "any"
    return _recorded(path, name)


def gate(root: Path, run: dict[str, bytes]) -> Iterator[Case]:
    """`calibench gate`."""
    made = root / "gate"
    for name, content in run.items():
        (made / "run").mkdir(parents=True, exist_ok=True)
        (made / "run" / name).write_bytes(content)
    words = ["gate", "--update", made / "b.yaml", made / "run", "--samples", made / "kept"]
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    files = inputs.folder(made)
    # JSON is YAML, and can be changed value by value.
    files["b.yaml"] = (json.dumps(yaml.safe_load(files["b.yaml"]), indent=1) + "\n").encode()
    words = ["gate", "b.yaml", "run", "--resamples", "100", "--json", "j.json", "--junit", "j.xml"]
    suite = Suite("gate", root, files, words)  # reports are written of what cannot be decided too
    yield from suite.valid()
    # YAML may be UTF-16, as some editors save it.
    yaml_of: dict[str, Expected] = {"cut_at_the_end_of_a_line": "refused", "UTF-16": "same"}
    yield from suite.of_bytes("b.yaml", "yaml", **yaml_of)
    yield from suite.of_places("b.yaml")
    yield from suite.of_object("b.yaml", depth=5)
    kept = next(name for name in files if name.startswith("kept/"))
    yield from suite.of_bytes(kept, "parquet", flipped_bits="refused")
    yield from suite.of_places(kept)
    log = next(name for name in files if name.startswith("run/samples_calib"))
    results = next(name for name in files if name.startswith("run/results"))
    yield from suite.of_bytes(log, "log")
    yield from suite.of_places(log)
    yield from suite.of_rows(log, _field)
    yield from suite.of_rows(log, _recorded, inside="record")
    yield from suite.of_bytes(results, "json")
    yield from suite.of_places(results)
    yield from suite.of_object(results, depth=3)
    yield from suite.of_options({
        ("--level", "0"): "refused", ("--level", "2"): "refused", ("--level", "nan"): "refused",
        ("--level", "x"): "refused", ("--correction", "bonferroni"): "refused",
        ("--resamples", "0"): "any", ("--resamples", "-1"): "refused", ("--seed", "-1"): "any",
        ("--resamples", "100000000"): "refused", ("--samples", "x"): "refused",
        ("--update",): "refused", ("--json", "."): "refused", ("--json", ""): "refused",
        ("--junit", "missing/x.xml"): "any", ("--summary", "."): "refused",
        ("--summary", "no/x.md"): "refused",
    })  # fmt: skip
    update = Suite("gate --update", root, files, ["gate", "--update", "n.yaml", "run"], ["n.yaml"])
    yield from update.valid()
    yield from update.of_rows(log, _recorded, inside="record")
    yield from update.of_object(results, depth=2)
    yield from (each for each in update.of_outputs("n.yaml") if "is a file" not in each.what)


def leaderboard(root: Path, run: dict[str, bytes]) -> Iterator[Case]:
    """`calibench leaderboard add`, `build` and `export`."""
    files = {f"run/{name}": content for name, content in run.items()}
    log = next(name for name in files if name.startswith("run/samples_calib"))
    results = next(name for name in files if name.startswith("run/results"))
    words = ["leaderboard", "add", "run", "--store", "store"]
    suite = Suite("leaderboard add", root, files, words)
    yield from suite.valid()
    yield from suite.of_bytes(log, "log")
    yield from suite.of_places(log)
    yield from suite.of_rows(log, _field)
    yield from suite.of_rows(log, _recorded, inside="record")
    yield from suite.of_bytes(results, "json")
    yield from suite.of_places(results)
    yield from suite.of_object(results, depth=3)
    yield from suite.of_outputs("store", exists="any")
    yield from suite.of_options({
        ("run",): "any", (".",): "any", ("/dev/null",): "refused", ("--adapter", "run"): "refused",
        ("--note", ""): "any", ("--note", "n" * 2**16): "any", ("--note", "\udcff"): "any",
        ("--store", ""): "refused", ("--store", log): "refused",
    })  # fmt: skip
    made = root / "added"
    (made / "run").mkdir(parents=True)
    for name, content in run.items():
        (made / "run" / name).write_bytes(content)
    result = CliRunner().invoke(
        cli, ["leaderboard", "add", str(made / "run"), "--store", str(made / "store")]
    )
    assert result.exit_code == 0, result.output
    yield from _published(root, inputs.folder(made))
    yield from _submitted(root, inputs.folder(made))
    words = ["leaderboard", "build", "run", "-o", "o"]
    suite = Suite("leaderboard build runs", root, files, words, ["o/README.md"], seconds=40)
    yield from suite.valid()
    yield from suite.of_rows(log, _recorded, inside="record")
    yield from suite.of_options({
        ("--graded", "run"): "refused", ("--graded", "missing"): "refused",
        ("--store", "x"): "refused", (log,): "refused",
    })  # fmt: skip


def _published(root: Path, files: dict[str, bytes]) -> Iterator[Case]:
    files = {name: content for name, content in files.items() if name.startswith("store/")}
    entry = next(name for name in files if name.endswith(".json") and "calib" in name)
    kept = entry.replace(".json", ".samples.jsonl.gz")
    for command, words in (
        ("build", ["leaderboard", "build", "--store", "store", "-o", "o"]),
        ("export", ["leaderboard", "export", "eee", "--store", "store", "-o", "o"]),
        ("check", ["leaderboard", "check", "--store", "store"]),
        ("rescore", ["leaderboard", "rescore", "--store", "store"]),
    ):
        suite = Suite(f"leaderboard {command}", root, files, words, ["o"], seconds=40)
        yield from suite.valid()
        yield from suite.of_bytes(entry, "json")
        yield from suite.of_places(entry, a_link="refused", missing="any", a_folder="any")
        if command != "export":
            yield from suite.of_object(entry, depth=3 if command == "build" else 2)
            yield from suite.of_bytes(kept, "parquet")
            yield from suite.of_places(kept, a_link="refused")
        if command == "build":
            yield from suite.of_outputs("o", exists="any")
            yield from suite.of_options({
                ("--store", "missing"): "refused", ("--store", ""): "refused",
                ("--graded", "store"): "refused", ("-o", ""): "refused",
            })  # fmt: skip


def _submitted(root: Path, files: dict[str, bytes]) -> Iterator[Case]:
    """`leaderboard submit`, to a clone that has a leaderboard and one that has none."""
    clone = root / "clone"
    (clone / "leaderboards").mkdir(parents=True)
    (clone / "leaderboards" / "README.md").write_text("# Leaderboard\n")
    git = ["git", "-C", str(clone), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "begin"]):
        subprocess.run([*git, *words], check=True)
    files = {name: content for name, content in files.items() if name.startswith("run/")}
    files |= {f"clone/{name}": content for name, content in inputs.folder(clone).items()}
    words = ["leaderboard", "submit", "run", "--repository", "clone"]
    suite = Suite("leaderboard submit", root, files, words, seconds=40)
    yield from suite.of_options({
        ("--repository", "missing"): "refused", ("--repository", ""): "refused",
        ("--repository", "run"): "refused", ("--repository", "/"): "refused",
        ("--branch", ""): "refused", ("--branch", "a b"): "refused", ("--branch", "-x"): "refused",
        ("--branch", "a..b"): "refused", ("--branch", "main"): "refused",
        ("--branch", "x" * 300): "refused", ("--branch", "\udcff"): "any",
        ("--adapter", "run"): "refused", ("--note", "n" * 2**16): "refused",
        ("missing",): "refused", ("clone",): "any",
    })  # fmt: skip
