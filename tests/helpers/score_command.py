"""The command `score`, and four hand-worked rows to give it."""

import json
import re

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet
from click.testing import CliRunner

import calibench.cli

# Hand-worked: gaps .1, .4, .3 and .8 in bins of their own; of four pairs three in order.
CONFIDENCE = [0.9, 0.6, 0.3, 0.8]
CORRECT = [1, 1, 0, 0]
ROWS = list(zip(CONFIDENCE, CORRECT, strict=True))
CSV = "question,confidence,correct\na,0.9,1\nb,0.6,1\nc,0.3,0\nd,0.8,0\n"
EXPECTED = {"acc": "0.5000", "ece": "0.4000", "auroc": "0.7500", "brier": "0.2250"}
FEW = ("--resamples", "20")


def run(*arguments, stdin=None):
    """Return what the command prints; its errors are raised."""
    found = CliRunner().invoke(
        calibench.cli.cli, ["score", *map(str, arguments)], input=stdin, catch_exceptions=False
    )
    assert found.exit_code == 0, found.output
    return found.output


def values(output):
    """Return the metrics and values of the printed table."""
    return dict(re.findall(r"^  (\w+) [↑↓] +(\S+)", output, re.MULTILINE))


def a_file(tmp_path, content, name="answers.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def json_lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def write(path, kind, columns):
    """Write columns with the tools people use."""
    table = pa.table(columns)
    if kind == "parquet":
        arrow_parquet.write_table(table, path)
    elif kind == "jsonl":
        path.write_text(json_lines(table.to_pylist()), encoding="utf-8")
    else:
        options = arrow_csv.WriteOptions(delimiter="\t" if kind == "tsv" else ",")
        arrow_csv.write_csv(table, path, options)
    return path


KINDS = ("csv", "tsv", "jsonl", "parquet")
