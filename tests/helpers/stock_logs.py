"""Reading and writing logs of stock tasks, and what `calibench score` makes of them."""

import json

from click.testing import CliRunner

import calibench.cli

FEW = ("--resamples", "20")
GENERATED = {
    "doc_id": 0,
    "doc": {},
    "target": "4",
    "arguments": {"gen_args_0": {"arg_0": "2 + 2 =", "arg_1": {"until": ["\n"]}}},
    "resps": [["4"]],
    "filtered_resps": ["4"],
    "filter": "none",
    "exact_match": 1.0,
}


def log(folder, task):
    (found,) = folder.glob(f"samples_{task}_*.jsonl")
    return found


def rows_of(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def write_rows(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def run(*arguments, **options):
    command = ["score", *map(str, arguments), *FEW]
    found = CliRunner().invoke(calibench.cli.cli, command, catch_exceptions=False, **options)
    assert found.exit_code == 0, found.output
    return found.output


def scores(tmp_path, *arguments, **options):
    run(*arguments, "--json", tmp_path / "scores.json", **options)
    reports = json.loads((tmp_path / "scores.json").read_text())["reports"]
    return {
        (each["file"], each["method"]): {
            name: score["value"] for name, score in each["scores"].items()
        }
        for each in reports
    }
