"""Put runs on a branch of a clone of the leaderboard's repository, with git alone."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from calib_leaderboards.markdown import escape, markdown_table
from calib_leaderboards.pages.names import counted
from calib_leaderboards.pages.publish import build_store
from calib_leaderboards.store.add import add
from calib_leaderboards.store.check import check
from calib_leaderboards.store.entry import Entry
from calib_leaderboards.store.paths import entry_path, slug
from calib_leaderboards.store.read import read_entry
from calib_leaderboards.tables.paired import SKILL
from calib_leaderboards.tables.words import interval, number

BOARD = "leaderboards"
STORE = f"{BOARD}/results"


def submit(
    results: Sequence[Path],
    repository: Path,
    replace: bool = False,
    *,
    adapters: Sequence[Path] = (),
    note: str | None = None,
    branch: str | None = None,
) -> str:
    """Commit the entries of runs, their samples and the tables to a new branch; return what to do.

    The work is done in a temporary work tree at the clone's HEAD: the clone's own files stay as
    they are, and an error leaves no branch behind. The commit's message is the text of the pull
    request, which GitHub takes over for a branch of one commit. Nothing is pushed.

    Raises ValueError if `repository` is not a clone with a leaderboard, if the branch exists, or if
    git fails; otherwise as `add` and `check`.
    """
    repository, results = Path(repository), [Path(each).resolve() for each in results]
    adapters = [Path(each).resolve() for each in adapters]
    _git(repository, "rev-parse", "--verify", "--quiet", f"HEAD:{BOARD}/README.md")
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        _git(repository, "worktree", "add", "--quiet", "--detach", str(tree), "HEAD")
        try:
            store = tree / STORE
            files = add(results, store, replace, adapters=adapters, note=note)
            entries = [read_entry(store, file.relative_to(store)) for file in files]
            check(store, {entry_path(entry) for entry in entries})
            build_store(store, tree / BOARD)
            name = (
                branch or f"submit/{'_'.join(sorted({slug(e.model.name) for e in entries}))[:80]}"
            )
            if _succeeds(repository, "rev-parse", "--verify", "--quiet", f"refs/heads/{name}"):
                raise ValueError(
                    f"'{repository}' already has a branch '{name}'; delete it with `git branch "
                    f"-D {name}`, or give another name with --branch."
                )
            subject, text = pull_request(entries)
            _git(tree, "add", "--", BOARD)
            if _succeeds(tree, "diff", "--cached", "--quiet"):
                raise ValueError("The leaderboard already has exactly these entries.")
            _git(tree, "commit", "--quiet", "--file", "-", text=f"{subject}\n\n{text}")
            _git(tree, "branch", name)
        finally:
            _git(repository, "worktree", "remove", "--force", str(tree))
    are = counted(len(entries), "entry is", "entries are")
    return (
        f"{are} on the branch '{name}'. Send it to your fork, and open the "
        f"pull request that the page offers; its text is the commit's message:\n\n"
        f"  git push YOUR_FORK {name}\n\n{subject}\n\n{text}"
    )


def pull_request(entries: Sequence[Entry]) -> tuple[str, str]:
    """Title and text of the pull request, in Markdown; names are escaped."""
    models = sorted({entry.model.name for entry in entries})
    tasks = sorted({entry.task.name for entry in entries})
    names = f"{models[0]}" if len(models) == 1 else f"{len(models)} models"
    subject = f"Leaderboard: {_line(names)} on {len(tasks)} task{'s' if len(tasks) > 1 else ''}"
    body = []
    for entry in entries:
        adapter = entry.model.adapter
        for score in entry.scores:
            main = SKILL if SKILL in score.metrics else next(iter(score.metrics))
            metric = score.metrics[main]
            span = interval(metric)
            body.append(
                [
                    escape(entry.model.name),
                    escape(adapter.name if adapter else ""),
                    escape(entry.task.name),
                    escape(entry.setting.slug),
                    escape(score.label),
                    f"{escape(main)} {number(metric.value)}" + (f" ({span})" if span else ""),
                    f"{score.n:,}",
                ]
            )
    head = ["Model", "Adapter", "Task", "Setting", "Method", "Score", "n"]
    commands = dict.fromkeys(_line(entry.provenance.command) for entry in entries)
    parts = [
        markdown_table(head, body, ["---"] * 6 + ["---:"]),
        "Made by `calibench leaderboard submit`. Every score was recomputed from the samples "
        "beside the entry, and agrees with the one that lm-eval printed. The runs:",
        *(f"    {command}" for command in commands),
        "- [ ] The model may be named in public, and its licence allows publishing scores.\n"
        "- [ ] No question of these tasks was in what the model or adapter was trained on, or the "
        "note of the entries says so.",
    ]
    return subject[:100], "\n\n".join(parts) + "\n"


def _line(text: str) -> str:
    """`text` on one line, so that it can end neither a title nor a block of code."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _git(folder: Path, *words: str, text: str | None = None) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            input=text,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
    except FileNotFoundError as error:
        raise ValueError("The program `git` was not found; install it.") from error
    if done.returncode:
        why = " ".join(done.stderr.split()) or "it gave no reason"
        if words[0] == "rev-parse":
            why = f"it has no {BOARD}/README.md in its last commit"
        raise ValueError(
            f"`git {words[0]}` does not work in '{folder}': {why}. Give a clone of the "
            "leaderboard's repository with --repository."
            if words[0] in ("rev-parse", "worktree")
            else f"`git {words[0]}` failed: {why}."
        )
    return done.stdout


def _succeeds(folder: Path, *words: str) -> bool:
    return (
        subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, check=False
        ).returncode
        == 0
    )
