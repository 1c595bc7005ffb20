"""The leaderboard's README: one table per task, short enough to read on GitHub."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from calib_leaderboards.markdown import MARK, escape, markdown_table
from calib_leaderboards.pages.models import shown_metrics
from calib_leaderboards.tables.rows import Group, TableRow
from calib_leaderboards.tables.table import Table
from calib_leaderboards.tables.words import heading, interval, number

MOST_ROWS = 25  # of a task; the site has all

_INTRODUCTION = """\
Does a language model know what it does not know? Each row is a way to get a confidence for every
answer of a model. Every number is recomputed from logged samples; intervals are 95 % bootstrap
intervals over the questions."""
_FILES = """\
**The rest**: `calibench leaderboard build` also writes a site, `site/index.html`, which sorts,
filters, compares two rows question by question and has a page for each model with its charts and
commands (open the file; it needs no server). For programs there are
[leaderboard.csv](leaderboard.csv) and `leaderboard.parquet`, with one line per score, and for papers
`leaderboard.tex`."""
_HOW_TO_READ = """\
## How to read this

- **ECE ↓** (expected calibration error): answers are put into ten bins by confidence, and the gap
  between mean confidence and accuracy is averaged over the bins. **AUROC ↑**: the probability that
  a right answer has more confidence than a wrong one; 0.5 is chance. **Brier ↓**: the mean squared
  difference between confidence and outcome, sensitive to both.
- **Rank** is 1 plus the number of rows whose whole interval is better than this row's: rows whose
  intervals overlap are not put in an order. Two rows about the same questions can differ reliably
  although their intervals overlap; the site compares them question by question.
- The ECE of a *perfectly* calibrated model is not zero in a finite sample: it is about 0.10 at
  n = 100, 0.03 at 1,000 and 0.01 at 10,000.
- Rows in *italics* are there to be beaten and have no rank: *question only* hides the answer from
  the classifier; *constant* always says the accuracy in training, which can have a low ECE and
  knows nothing about the single answer.
- **Settings**: *3-shot* is the number of examples before the question; *chat* means that the model
  was asked in its chat template; *frozen* marks confidences in the answers of an earlier run.
  Accuracies differ only where answers do. Where nearly all answers are wrong, a low ECE says no more
  than that the model admits it, and the AUROC of the few right ones means little: n times accuracy
  says how many they are."""


def readme(
    tables: Sequence[Table], figures: Mapping[Group, Sequence[str]], store: str | None
) -> bytes:
    """README.md.

    figures: paths of the charts of each table. store: path of the entries, to link to.
    Every name is escaped: it can neither end a table cell nor start a tag, link or emphasis.
    """
    entries = f" The entries and their samples are in [{store}]({store})." if store else ""
    parts = [MARK, "# Calibration leaderboard", _INTRODUCTION, _FILES + entries]
    if len(tables) > 1:
        links = (f"[{escape(table.title)}](#{_anchor(table.title)})" for table in tables)
        parts.append(f"**Tasks**: {' · '.join(links)}")
    for table in tables:
        parts += _task(table, figures.get(table.group, ()))
    return ("\n\n".join([*parts, _HOW_TO_READ]) + "\n").encode("utf-8")


def _anchor(title: str) -> str:
    """What GitHub calls a heading in links."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _task(table: Table, figures: Sequence[str]) -> list[str]:
    title, names = table.title, shown_metrics(table)
    ranked = [name for name in names[:2] if any(row.ranks.get(name) for row in table.rows)]
    shown = table.best_first[:MOST_ROWS]
    head = ["Model", "Adapter", "Method", "Setting"]
    head += [*table.head(names), "n"]
    body = []
    for row in shown:
        label = escape(row.score.label)
        cells = [
            escape(row.entry.model.name),
            escape(row.adapter),
            f"*{label}*" if row.sanity else label,
            escape(row.entry.setting.slug),
        ]
        cells += [_score(row, name, name in ranked) for name in names]
        body.append([*cells, f"{row.score.n:,}"])
    cells = markdown_table(head, body, ["---"] * 4 + ["---:"] * (len(names) + 1))
    by = escape(heading(table.main_metric, None))
    version = f"Task version {escape(table.group[1])}; best {by} first."
    if table.preview:
        version = f"**{table.preview.capitalize()}.** {version}"
    version = " ".join([version, *map(escape, table.notes)])
    left = len(table.rows) - len(shown)
    if left:
        version += f" The site has {left:,} more rows."
    images = "\n".join(
        f'<img src="{path}" alt="{escape(name)} of each method on {escape(title)}" width="420">'
        for path, name in zip(figures, ("ECE", "AUROC"), strict=False)  # there may be none
    )
    return [f"## {escape(title)}", version, cells, *([images] if images else [])]


def _score(row: TableRow, name: str, with_rank: bool) -> str:
    metric = row.score.metrics.get(name)
    if metric is None:
        return ""
    span = interval(metric) if name in ("ece", "auroc") or with_rank else ""
    text = number(metric.value) + (f" ({span})" if span else "")
    rank = row.ranks.get(name)
    return f"{text}, rank {rank}" if with_rank and rank else text
