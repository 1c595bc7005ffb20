"""The leaderboard's README: one table per task, short enough to read on GitHub."""

from __future__ import annotations

import re
from collections.abc import Sequence

from calib_leaderboards.markdown import MARK, escape, markdown_table
from calib_leaderboards.pages.models import shown_metrics
from calib_leaderboards.tables.overview import Pair, mean_text, overview_how
from calib_leaderboards.tables.row import TableRow
from calib_leaderboards.tables.table import Table
from calib_leaderboards.tables.words import interval, number

MOST_ROWS = 25  # rows of a task; the site has all
_FEW = "†"

_INTRODUCTION = """\
Does a language model know what it does not know? Each row is a way to get a confidence for every
answer of a model. Every number is recomputed from logged samples; intervals are 95 % bootstrap
intervals over the questions."""
_FILES = """\
**The rest**: `calibench leaderboard build` also writes a site, `site/index.html`, which begins with
the overview, sorts and filters the scores on each task, compares two rows question by question and
has a page for each model with its charts and commands (open the file; it needs no server). For programs there are
[leaderboard.csv](leaderboard.csv) and `leaderboard.parquet`, with one line per score, and for papers
`leaderboard.tex`."""
_HOW_TO_READ = """\
## How to read this

- **Skill ↑** (Brier skill score): 1 minus the Brier score, the mean squared difference between
  confidence and outcome, divided by that of a constant confidence on the same answers. The constant
  is the share of right answers among them, the best in hindsight; where a build knows the accuracy
  in training, it is that, as the score's signature says. 1 is always right, 0 is the constant.
- **ECE ↓** (expected calibration error): answers are put into ten bins by confidence, and the gap
  between mean confidence and accuracy is averaged over the bins. **AUROC ↑**: the probability that
  a right answer has more confidence than a wrong one; 0.5 is chance. **AURC ↓**: the error rate
  among the most confident answers, averaged over all shares that one may keep.
- **Rank**: the rows of the main table are compared from the best skill down. A row shares the rank
  of the row above it, unless a paired test on the questions that both answer finds it worse than
  that row or than the first row of that rank (5 % in all); then its rank is its place. Rows in other
  settings have no rank. Nor have rows with fewer than ten right, or fewer than ten wrong, answers.
- The ECE of a *perfectly* calibrated model is not zero in a finite sample: it is about 0.10 at
  n = 100, 0.03 at 1,000 and 0.01 at 10,000.
- Rows in *italics* are there to be beaten and have no rank: *question only* hides the answer from
  the classifier; *constant* always says the accuracy in training, which has a low ECE and no skill.
- **Settings**: the main table is of the task's default setting, the number of examples that its
  file declares, without a chat template or a system prompt. *3-shot* is the number of examples
  before the question; *chat* means that the model was asked in its chat template; *frozen* marks
  confidences in the answers of an earlier run. Accuracies differ only where answers do."""


def readme(
    titles: Sequence[str],
    sections: Sequence[str],
    core: Sequence[str],
    pairs: Sequence[Pair],
    store: str | None,
) -> bytes:
    """README.md.

    titles, sections: of the tasks, see `task_section`. core, pairs: of the overview, which stands
    first. store: path of the entries, to link to. Every name is escaped: it can neither end a table
    cell nor start a tag, link or emphasis.
    """
    entries = f" The entries and their samples are in [{store}]({store})." if store else ""
    parts = [MARK, "# Calibration leaderboard", _INTRODUCTION, _FILES + entries]
    if pairs:
        parts += _overview(core, pairs)
    if len(titles) > 1:
        links = (f"[{escape(title)}](#{_anchor(title)})" for title in titles)
        parts.append(f"**Tasks**: {' · '.join(links)}")
    return ("\n\n".join([*parts, *sections, _HOW_TO_READ]) + "\n").encode("utf-8")


def _overview(core: Sequence[str], pairs: Sequence[Pair]) -> list[str]:
    body = []
    for pair in pairs[:MOST_ROWS]:
        label = escape(pair.label)
        body.append(
            [
                escape(pair.model),
                escape(pair.adapter),
                f"*{label}*" if pair.sanity else label,
                mean_text(pair),
                f"{pair.above} of {pair.tasks}",
            ]
        )
    head = ["Model", "Adapter", "Method", "Mean skill ↑", "Tasks with skill above 0"]
    cells = markdown_table(head, body, ["---", "---", "---", "---:", "---:"])
    left = len(pairs) - MOST_ROWS
    more = f" The site has {left:,} more rows." if left > 0 else ""
    how = escape(overview_how(core, pairs))
    names = f"The tasks: {escape(', '.join(core))}."
    last = [names] if 1 < len(core) <= MOST_ROWS else []
    return ["## Which method?", how + more, cells, *last]


def _anchor(title: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def task_section(table: Table[TableRow], figures: Sequence[str]) -> str:
    """The section of a task. figures: paths of its charts."""
    names = shown_metrics(table)
    rows = table.best_first
    left = len(rows) - MOST_ROWS
    above = [f"**{table.preview.capitalize()}.**"] if table.preview else []
    above += [f"Task version {escape(table.group[1])}. {escape(table.how_to_read)}"]
    above += map(escape, table.notes)
    above += [f"The site has {left:,} more rows."] if left > 0 else []
    if any(row.few for row in table.rows):
        above.append(f"{_FEW}: fewer than ten right, or fewer than ten wrong, answers; no rank.")
    parts = [f"## {escape(table.title)}", " ".join(above)]
    parts.append(_cells(table, rows[:MOST_ROWS], names, ("Rank", "Model", "Adapter", "Method")))
    if folded := table.folded[:MOST_ROWS]:
        more = len(table.folded)
        rest = _cells(table, folded, names, ("Model", "Adapter", "Method", "Setting"))
        summary = f"{more:,} {'row' if more == 1 else 'rows'} in other settings"
        parts.append(f"<details><summary>{summary}</summary>\n\n{rest}\n\n</details>")
    images = "\n".join(
        f'<img src="{path}" alt="{escape(name)} of each method on {escape(table.title)}" '
        'width="420">'
        for path, name in zip(figures, ("ECE", "AUROC"), strict=False)  # a figure may be missing
    )
    return "\n\n".join([*parts, *([images] if images else [])])


def _cells(
    table: Table[TableRow], rows: Sequence[TableRow], names: Sequence[str], first: Sequence[str]
) -> str:
    texts = {
        "Rank": lambda row: "" if row.rank is None else str(row.rank),
        "Model": lambda row: escape(row.model),
        "Adapter": lambda row: escape(row.adapter),
        "Method": lambda row: ("*{}*" if row.sanity else "{}").format(escape(row.label)),
        "Setting": lambda row: escape(row.setting),
    }
    body = [
        [
            *(texts[name](row) for name in first),
            *(_score(row, name, name == table.main_metric) for name in names),
            f"{row.n:,}",
        ]
        for row in rows
    ]
    sides = ["---:" if name == "Rank" else "---" for name in first]
    return markdown_table(
        [*first, *table.head(names), "n"], body, [*sides, *["---:"] * (len(names) + 1)]
    )


def _score(row: TableRow, name: str, main: bool) -> str:
    metric = row.metrics.get(name)
    if metric is None:
        return ""
    span = interval(metric) if main or name in ("ece", "auroc") else ""
    text = number(metric.value) + (f" ({span})" if span else "")
    return f"{text} {_FEW}" if name == "auroc" and row.few else text
