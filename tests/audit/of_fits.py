"""Cases of the commands that fit on one table or run and apply to another: recalibrate, combine."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from click.testing import CliRunner

from audit import inputs
from audit.damage import Expected
from audit.of_logs import _field, _recorded
from audit.suites import Suite
from audit.trial import Case
from calibench.cli import cli

Options = dict[tuple[str, ...], Expected]
# The same in the place of any table.
_TABLES: Options = {
    ("--correct", "nothing"): "refused", ("--correct", ""): "refused",
    ("--correct", "id"): "refused", ("-o", ""): "refused", ("-o", "."): "refused",
    ("-o", "/dev/full"): "refused",
    ("-o", "t.csv"): "refused", ("-o", "v.csv"): "refused", ("-o", "v.csv/x.csv"): "refused",
    ("-o", "\udcff.csv"): "any", ("t.csv",): "refused", ("--unknown", "1"): "refused",
}  # fmt: skip


def _rows(begin: int, *columns: str) -> list[dict]:
    """Drawn, so that no half of them is separated by its confidences."""
    draw = random.Random(begin)
    return [
        {
            "id": f"q{begin + i}",
            "correct": draw.randrange(2),
            **{name: round(draw.uniform(0.05, 0.95), 2) for name in columns},
        }
        for i in range(40)
    ]


def _cell(path: tuple, name: str) -> Expected:
    if path == ("id",):
        return "refused" if name in ("missing", "null") else "any"
    if path == ("correct",):
        return "any" if name == "true" else "refused"
    return "any" if name in ("half", "null", "missing", "NaN", "an empty text") else "refused"


def recalibrate(root: Path) -> Iterator[Case]:
    """`calibench recalibrate`."""
    rows = {"v": _rows(0, "confidence"), "t": _rows(100, "confidence")}
    files = {f"{name}.csv": inputs.table(each) for name, each in rows.items()}
    words = ["recalibrate", "v.csv", "t.csv", "--rows", "id", "-o", "o.csv"]
    suite = Suite("recalibrate", root, files, words, ["o.csv"])
    yield from suite.valid()
    for name in files:
        yield from suite.of_bytes(name, "csv")
        yield from suite.of_places(name)
    yield from (each for each in suite.of_outputs("o.csv") if "is a file" not in each.what)
    yield from suite.of_options(_TABLES)
    yield from suite.of_options({
        ("--map", "nothing"): "refused", ("--map", "isotonic"): "any",
        ("--map", "histogram", "--bins", "0"): "refused",
        ("--map", "histogram", "--bins", "-1"): "refused", ("--bins", "x"): "refused",
        ("--clip", "0"): "refused", ("--clip", "0.5"): "refused", ("--clip", "-1"): "refused",
        ("--clip", "nan"): "refused", ("--clip", "x"): "refused",
        ("--clip", "0.1", "--map", "isotonic"): "refused",
        ("--rows", "nothing"): "refused", ("--rows", ""): "refused",
        ("--rows", "confidence"): "refused", ("--confidence", "nothing"): "refused",
        ("--confidence", ""): "refused", ("--scale", "rank"): "refused",
        ("--scale", "percent"): "any", ("--format", "parquet"): "refused",
        ("--format", "x"): "refused", ("--method", "nothing"): "any",
        ("--save", ""): "refused", ("--save", "."): "refused", ("--save", "t.csv"): "refused",
        ("--save", "o.csv"): "refused", ("-o", "o.xlsx"): "refused", ("-o", "o"): "refused",
    })  # fmt: skip
    same = ["recalibrate", "v.csv", "v.csv", "--rows", "id", "-o", "o.csv"]
    yield suite.write(suite.case("the same table twice", "refused", arguments=same))
    lines = {f"{name}.jsonl": inputs.lines(each) for name, each in rows.items()}
    words = ["recalibrate", "v.jsonl", "t.jsonl", "--rows", "id", "-o", "o.parquet"]
    suite = Suite("recalibrate jsonl", root, lines, words, ["o.parquet"])
    yield from suite.valid()
    for name in lines:
        yield from suite.of_rows(name, _cell)


def combine(root: Path, run: dict[str, bytes]) -> Iterator[Case]:
    """`calibench combine fit` and `apply`."""
    files = {"v.csv": inputs.table(_rows(0, "a", "b")), "t.csv": inputs.table(_rows(100, "a", "b"))}
    given = ["--id", "id", "--folds", "2", "--resamples", "5"]
    words = ["combine", "fit", "v.csv", "--methods", "a,b", *given, "-o", "f.json"]
    suite = Suite("combine fit", root, files, words, ["f.json"])
    yield from suite.valid()
    yield from suite.of_bytes("v.csv", "csv")
    yield from suite.of_places("v.csv")
    yield from (each for each in suite.of_outputs("f.json") if "is a file" not in each.what)
    yield from suite.of_options({k: v for k, v in _TABLES.items() if ".csv" not in "".join(k)})
    yield from suite.of_options({
        ("-o", "v.csv"): "refused", ("--methods", ""): "refused", ("--methods", "a"): "any",
        ("--methods", "a,a"): "refused", ("--methods", "a,nothing"): "refused",
        ("--methods", "a,correct"): "refused", ("--methods", "a,id"): "refused",
        ("--id", "nothing"): "refused", ("--id", ""): "refused", ("--by", "nothing"): "refused",
        ("--by", ""): "refused", ("--by", "correct"): "any", ("--folds", "1"): "refused",
        ("--folds", "100"): "refused", ("--folds", "x"): "refused", ("--seed", "-1"): "refused",
        ("--clip", "0"): "refused", ("--clip", "0.7"): "refused", ("--clip", "nan"): "refused",
        ("--resamples", "-1"): "refused", ("--resamples", "x"): "refused",
    })  # fmt: skip
    made = root / "combined"
    made.mkdir(exist_ok=True)
    (made / "v.csv").write_bytes(files["v.csv"])
    fitting = ["combine", "fit", made / "v.csv", "--methods", "a,b", *given, "-o", made / "f.json"]
    result = CliRunner().invoke(cli, list(map(str, fitting)))
    assert result.exit_code == 0, result.output
    files["f.json"] = json.dumps(json.loads((made / "f.json").read_bytes()), indent=1).encode()
    words = ["combine", "apply", "f.json", "t.csv", "--id", "id", "-o", "o.csv"]
    suite = Suite("combine apply", root, files, words, ["o.csv"])
    yield from suite.valid()
    yield from suite.of_bytes("t.csv", "csv")
    yield from suite.of_places("t.csv")
    yield from suite.of_bytes("f.json", "json")
    yield from suite.of_places("f.json")
    yield from suite.of_object("f.json")
    yield from (each for each in suite.of_outputs("o.csv") if "is a file" not in each.what)
    yield from suite.of_options({
        **{k: v for k, v in _TABLES.items() if k != ("-o", "v.csv")},
        ("-o", "f.json"): "refused", ("-o", "o"): "refused", ("-o", "o.parquet"): "refused",
        ("--id", "nothing"): "refused", ("--id", ""): "refused",
    })  # fmt: skip
    again = ["combine", "apply", "f.json", "v.csv", "--id", "id", "-o", "o.csv"]
    yield suite.write(suite.case("the rows of the fit", "refused", arguments=again))
    yield from _of_runs(root, run)


def _of_runs(root: Path, run: dict[str, bytes]) -> Iterator[Case]:
    files = {f"run/{name}": content for name, content in run.items()}
    log = next(name for name in files if name.startswith("run/samples_calib"))
    results = next(name for name in files if name.startswith("run/results"))
    words = [
        "combine", "fit", "run", "--methods", "likelihood,zero_shot_classifier", "--folds", "2",
        "--clip", "0.01", "--resamples", "5", "-o", "f.json",
    ]  # fmt: skip
    suite = Suite("combine fit runs", root, files, words, ["f.json"])
    yield from suite.valid()
    yield from suite.of_bytes(log, "log")
    yield from suite.of_rows(log, _field)
    yield from suite.of_rows(log, _recorded, inside="record")
    yield from suite.of_bytes(results, "json")
    yield from suite.of_options({
        ("--id", "id"): "refused", ("--by", "nothing"): "refused", (log,): "refused",
        ("--methods", "likelihood,sampling"): "refused",
    })  # fmt: skip
