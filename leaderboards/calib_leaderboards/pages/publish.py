"""Build README, tables and site from a store or from runs; make only what has changed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from calib_leaderboards.markdown import MARK
from calib_metrics.outputs import write_atomically


def build_store(store: Path, out: Path, processes: int = 1) -> Path:
    """Publish the entries of a store: README.md, leaderboard.csv, .parquet and .tex, and site/.

    The bytes of all files depend on the store and the version of this program alone, not on what
    was built before. If neither has changed since the last build, nothing is written; else only
    what shows a change is made, and files that the last build made and this one does not are
    removed. What a build keeps for the next lies in the folder .build.

    processes: that share the work; their main module must not build on import. Returns the path of
    the README.

    Raises FileNotFoundError without a store or without entries, ValueError for a damaged entry, and
    FileExistsError if `out` holds a README.md of another origin.
    """
    store, out = Path(store), Path(out)
    page = _page(out)
    if not store.is_dir():
        raise FileNotFoundError(
            f"There is no store '{store}'; make it with `calibench leaderboard add`, or give "
            "another with --store."
        )
    from calib_leaderboards.pages.build import build

    build(store, out, _link(store, out), processes)
    return page


def build_runs(
    results: Sequence[Path],
    out: Path,
    *,
    train_accuracy: float | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Path:
    """Publish the lm-eval runs below `results` as `build_store` does a store, for a preview.

    Runs of a part of the questions are accepted, and marked on every page.

    Also draws figures/TASK_bars.png and .svg, ECE and AUROC of the methods of each task.
    train_accuracy: in [0, 1]; each task gets a sanity row of a model that always states this.
    resamples, seed: of the bootstrap behind the intervals.

    The bytes of all files depend only on the runs and the version of this program and its
    libraries. Returns the path of the README.

    Raises ValueError, FileNotFoundError or FileExistsError as `build_store` and `make_all` do,
    before anything is written.
    """
    out = Path(out)
    page = _page(out)
    if train_accuracy is not None and not 0 <= train_accuracy <= 1:
        raise ValueError(f"train_accuracy is {train_accuracy}; it must be in the range [0, 1].")
    from calib_leaderboards.pages.build import build
    from calib_leaderboards.pages.figure import bar_figures
    from calib_leaderboards.runs import find_runs
    from calib_leaderboards.store.entry import entry_to_json
    from calib_leaderboards.store.make import make_all
    from calib_leaderboards.store.paths import samples_path

    made = make_all(
        find_runs(results), constant=train_accuracy, preview=True, resamples=resamples, seed=seed
    )
    figures = bar_figures([entry for entry, _ in made.values()])
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        for path, (entry, packed) in made.items():
            write_atomically(store / path, entry_to_json(entry))
            if packed is not None:
                write_atomically(Path(samples_path(store / path)), packed)
        build(store, out, None, figures=figures)
    return page


def _page(out: Path) -> Path:
    """Return the path of the README; raise FileExistsError if the one there is not ours."""
    page = out / "README.md"
    if page.is_file() and not page.read_text("utf-8", errors="replace").startswith(MARK):
        raise FileExistsError(
            f"'{page}' was not made by `calibench leaderboard build` and would be overwritten; "
            "choose another output folder."
        )
    return page


def _link(store: Path, out: Path) -> str | None:
    """The README's link to the store; None if the store is not below the output folder."""
    try:
        return store.resolve().relative_to(out.resolve()).as_posix()
    except ValueError:
        return None
