"""Scores of human ratings in a table, and one label per question for the judge's tasks.

    python -m harness_tasks.helpfulness.human ratings.csv [-o labels.csv]

Columns: `id` (of the question), `label` (answers, against or tie; or a number) and, if there are
several, `rater`.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from statistics import mean, median_low
from typing import Any

from calib_metrics.lm_eval_hooks import mean_stderr
from harness_tasks.templates.table import read_table

WINS = {"answers": 1.0, "tie": 0.5, "against": 0.0}

Ratings = dict[str, dict[str, Any]]


def read_ratings(path: Path) -> Ratings:
    """The labels of a table, {id: {rater: label}}; all preferences, or all numbers.

    Raises:
        FileNotFoundError, ValueError: the table or a column is missing, a label is neither, or a
            rater rated a question twice; names file, row and column.
    """
    ratings: Ratings = {}
    kinds = set()
    for number, row in enumerate(read_table(path), start=1):
        where = f"{path}, row {number}"
        for column in ("id", "label"):
            if row.get(column) in (None, ""):
                raise ValueError(f"{where}: column {column!r} is missing or the cell is empty.")
        given, rater = ratings.setdefault(str(row["id"]), {}), row.get("rater") or ""
        if rater in given:
            raise ValueError(f"{where}: {rater or 'the rater'} labels {row['id']!r} a second time.")
        given[rater] = _label(row["label"], where)
        kinds.add(isinstance(given[rater], str))
        if len(kinds) == 2:
            raise ValueError(f"{where}: some labels are preferences and some numbers; split them.")
    return ratings


def _label(cell: Any, where: str) -> str | float:
    text = str(cell).strip().lower()
    if text in WINS:
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(
            f"{where}, column 'label': {cell!r} is neither answers, against or tie nor a number."
        )
    return value


def summary(ratings: Ratings) -> dict[str, float]:
    """The mean over questions of the mean over their raters, with its standard error.

    It is `win_rate` for preferences (a tie is half a win) and `rating` for numbers. Beside it the
    number of questions and labels and, if questions have several, `rater_agreement`: the share of
    equal ones among all pairs of labels of one question.
    """
    labels = [list(given.values()) for given in ratings.values()]
    preferences = isinstance(labels[0][0], str)
    name = "win_rate" if preferences else "rating"
    means = [mean(WINS[each] if preferences else each for each in some) for some in labels]
    equal = [one == other for some in labels for one, other in combinations(some, 2)]
    return {
        name: mean(means),
        f"{name}_stderr": mean_stderr(means),
        "questions": len(labels),
        "labels": sum(map(len, labels)),
        **({"rater_agreement": sum(equal) / len(equal)} if equal else {}),
    }


def one_label(given: dict[str, Any]) -> Any:
    """The preference of most raters ("tie" if two have as many), or the lower median number."""
    values = list(given.values())
    if not isinstance(values[0], str):
        return f"{median_low(values):g}"
    (label, most), *others = Counter(values).most_common()
    return "tie" if others and others[0][1] == most else label


def write_labels(ratings: Ratings, path: Path) -> None:
    """One label per question, in the form that the metadata key `labels` of a judge reads."""
    out = io.StringIO()
    rows = ((key, one_label(given)) for key, given in ratings.items())
    csv.writer(out, lineterminator="\n").writerows([("id", "label"), *rows])
    half = path.with_name(f".{path.name}.part")
    half.write_text(out.getvalue(), encoding="utf-8")
    os.replace(half, path)


def main(arguments: list[str] | None = None) -> None:
    """Print the scores of a table of ratings as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ratings", type=Path, help="CSV, TSV, JSON Lines or Parquet")
    parser.add_argument("-o", "--output", type=Path, help="write one label per question here")
    options = parser.parse_args(arguments)
    try:
        ratings = read_ratings(options.ratings)
        if options.output:
            write_labels(ratings, options.output)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    print(json.dumps(summary(ratings), indent=1))


if __name__ == "__main__":
    main()
