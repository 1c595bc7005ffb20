"""How long does a leaderboard of many entries take to build, to build again, and to open?

    python benchmarks/leaderboard.py                      5,000 entries, each of 796 questions
    python benchmarks/leaderboard.py --entries 500 --chromium ""    without a browser

Makes a store of synthetic entries (500 models, 10 tasks for 5,000), builds it three times as the
command does, each time by a command of its own, and opens the first page in headless Chromium:
first   into an empty folder
again   with nothing changed: nothing may be written
one     after one entry was replaced, whose scores move ranks
open    from the start of the navigation until the first page's pictures, or the first rows of a
        task's table, are painted
"""

from __future__ import annotations

import argparse
import json
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

    Seconds of the processor say what an otherwise idle machine would need. The memory is that of
    all its processes together, at most.
    """
    begin, worked = time.perf_counter(), processor()
    arguments = ["leaderboard", "build", "--store", str(store), "-o", str(out)]
    command = [sys.executable, "-c", _BUILD, *arguments]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    most = 0
    while started.poll() is None:
        most = max(most, memory(started.pid))
        time.sleep(0.02 if time.perf_counter() - begin < 5 else 0.5)
    if started.returncode:
        raise RuntimeError(f"The build ended with status {started.returncode}.")
    seconds = f"{time.perf_counter() - begin:6.2f} s, processor {processor() - worked:6.2f} s"
    return f"{seconds}, memory {most / 1e6:,.0f} MB"


def memory(pid: int) -> int:
    """Bytes of a process and those that it started, shared ones divided; 0 where not known."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # ended, or not on Linux
        return 0
    own = next(line for line in text.splitlines() if line.startswith("Pss:"))
    return 1024 * int(own.split()[1]) + sum(memory(int(child)) for child in below)


def processor() -> float:
    """Processor seconds of all programs that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def better(file: Path) -> None:
    """Raise the skill of an entry by a half, so that it takes a place above many others."""
    entry = json.loads(file.read_text("utf-8"))
    skill = entry["scores"][0]["metrics"]["brier_skill"]
    for name in ("value", "low", "high"):
        skill[name] += 0.5
    file.write_text(json.dumps(entry, indent=1, ensure_ascii=False) + "\n", "utf-8")


def state(folder: Path) -> dict[str, int]:
    """Time of change of every file that is published."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and ".build" not in path.parts
    }


def open_seconds(program: str, page: Path, shown: str) -> float:
    """Seconds from the start of the navigation until two frames after something is shown."""
    browser = Chromium(program)
    try:
        browser.send(
            "Page.addScriptToEvaluateOnNewDocument",
            source=f"const shown = {shown!r};"
            + """
            const seen = new MutationObserver(() => {
              if (!document.querySelector(shown)) return;
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
        better(files[-1])
        print(f"one    {build(store, out)}")
        changed = [name for name, found in state(out).items() if before.get(name) != found]
        print(f"       files written: {len(changed)}")
        for page, shown in (("index.html", "#bars svg"), ("tasks.html", "#results tbody tr")):
            for _ in range(options.repeats if options.chromium else 0):
                seconds = open_seconds(options.chromium, out / "site" / page, shown)
                print(f"open   {seconds:6.2f} s, {page}")


if __name__ == "__main__":
    main()
