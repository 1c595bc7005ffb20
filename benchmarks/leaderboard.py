"""How long does a leaderboard of many entries take to build, to build again, and to open?

    python benchmarks/leaderboard.py                      5,000 entries, each of 796 questions
    python benchmarks/leaderboard.py --entries 500 --chromium ""    without a browser

Makes a store of synthetic entries (500 models, 10 tasks for 5,000), builds it three times as the
command does, each time in a process of its own, and opens the first page in headless Chromium:
first   into an empty folder
again   with nothing changed: nothing may be written
one     after one entry was replaced
open    from the start of the navigation until the first rows of the table are painted
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests"
sys.path.insert(0, str(TESTS / "helpers"))

from board_entries import write_store  # noqa: E402
from chromium import Chromium, find_chromium  # noqa: E402

_BUILD = "import sys; from calibench.cli import main; sys.argv[0] = 'calibench'; main()"


def build(store: Path, out: Path) -> str:
    """Seconds of one `calibench leaderboard build`, with the start of Python: passed, and worked.

    Seconds of the processor say what an otherwise idle machine would need.
    """
    begin, worked = time.perf_counter(), processor()
    arguments = ["leaderboard", "build", "--store", str(store), "-o", str(out)]
    subprocess.run(
        [sys.executable, "-c", _BUILD, *arguments], check=True, stdout=subprocess.DEVNULL
    )
    return f"{time.perf_counter() - begin:6.2f} s, processor {processor() - worked:6.2f} s"


def processor() -> float:
    """Processor seconds of all programs that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def state(folder: Path) -> dict[str, tuple[str, int]]:
    """Digest and time of change of every file."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


def open_seconds(program: str, page: Path) -> float:
    """Seconds from the start of the navigation until two frames after the table has rows."""
    browser = Chromium(program)
    try:
        browser.send(
            "Page.addScriptToEvaluateOnNewDocument",
            source="""
            const seen = new MutationObserver(() => {
              if (!document.querySelector('#results tbody tr')) return;
              seen.disconnect();
              requestAnimationFrame(() => requestAnimationFrame(() => {
                window.paintedAt = performance.now();
              }));
            });
            seen.observe(document, { childList: true, subtree: true });
        """,
        )
        browser.open(page)
        browser.wait("window.paintedAt")
        if browser.problems:
            raise RuntimeError(f"The page reports errors: {browser.problems[:3]}")
        return browser.run("window.paintedAt") / 1000
    finally:
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--entries", type=int, default=5000)
    parser.add_argument("--methods", type=int, default=1, help="methods of each entry")
    parser.add_argument("--questions", type=int, default=796, help="of each entry")
    parser.add_argument("--repeats", type=int, default=3, help="of opening the page")
    parser.add_argument("--chromium", default=find_chromium(), help='program; "" for none')
    options = parser.parse_args()
    print(f"load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        store, out = Path(folder, "store"), Path(folder, "out")
        files = write_store(
            store,
            models=max(options.entries // 10, 1),
            tasks=10,
            methods=options.methods,
            questions=options.questions,
        )
        size = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
        print(f"{len(files):,} entries, {size / 1e6:.0f} MB")
        print(f"first  {build(store, out)}")
        before = state(out)
        print(f"again  {build(store, out)}")
        changed = [name for name, found in state(out).items() if before.get(name) != found]
        print(f"       files written: {len(changed)}")
        files[0].write_bytes(
            files[0].read_bytes().replace(b'"dtype": "bfloat16"', b'"dtype": "float16"')
        )
        print(f"one    {build(store, out)}")
        changed = [name for name, found in state(out).items() if before.get(name) != found]
        print(f"       files written: {len(changed)}")
        for _ in range(options.repeats if options.chromium else 0):
            print(f"open   {open_seconds(options.chromium, out / 'site/index.html'):6.2f} s")


if __name__ == "__main__":
    main()
