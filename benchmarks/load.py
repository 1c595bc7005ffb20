"""How much do the commands bear? Seconds and peak memory, and for many adds what was lost.

python benchmarks/load.py [table] [log] [gate] [adds] [--scale 0.01]

table   calibench score of 100 million rows of Parquet
log     calibench score of a sample log of 2 GB, four methods with prompts of 3 kB
gate    calibench gate with paired samples of 100,000 questions
adds    1,000 adds to one store by 20 processes at a time
Files are written below the folder for temporary files (TMPDIR) and removed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TESTS = Path(__file__).parent.parent / "tests"
sys.path.insert(0, str(TESTS / "helpers"))

from gate_runs import TASK, write_run  # noqa: E402

PART = 2_000_000  # rows of a table written at once
METHODS = ("likelihood", "zero_shot_classifier", "verbalized", "sampling")


def command(*words: object) -> str:
    """Call calibench in a process of its own; return its seconds and peak memory as a sentence."""
    # wait4 tells the peak of this process alone; the parent's children share one in getrusage.
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "calibench", *map(str, words)],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"calibench {words[0]} ends with {process.returncode}")
    return (
        f"{time.perf_counter() - began:.0f} s, of the processor "
        f"{used.ru_utime + used.ru_stime:.0f} s, peak {used.ru_maxrss * 1024 / 1e9:.2f} GB"
    )


def table(folder: Path, scale: float) -> None:
    """Confidences that are calibrated by construction."""
    file, rows = folder / "table.parquet", int(1e8 * scale)
    rng = np.random.default_rng(0)
    schema = pa.schema([("confidence", pa.float64()), ("correct", pa.int8())])
    with pq.ParquetWriter(file, schema) as writer:
        for begin in range(0, rows, PART):
            confidence = rng.random(min(PART, rows - begin))
            correct = (rng.random(confidence.size) < confidence).astype(np.int8)
            writer.write_table(pa.table([confidence, correct], schema=schema))
    print(f"table: {rows:,} rows: {command('score', file, '--resamples', 0)}", flush=True)


def log(folder: Path, scale: float) -> None:
    """Rows as lm-eval logs them; each method's row has all prompts of its question."""
    file = folder / f"samples_{TASK}_2026-01-01T00-00-00.jsonl"
    arguments = {f"gen_args_{i}": {"arg_0": "Q: x? A: y\n" * 70, "arg_1": {}} for i in range(4)}
    written = number = 0
    with file.open("w", encoding="utf-8") as lines:
        while written < 2e9 * scale:
            for row in _rows(range(number, number + 1)):
                written += lines.write(json.dumps({**row, "arguments": arguments}) + "\n")
            number += 1
    print(
        f"log: {written / 1e9:.2f} GB, {number:,} questions: "
        f"{command('score', file, '--resamples', 0)}",
        flush=True,
    )


def gate(folder: Path, scale: float) -> None:
    """The run against a baseline of itself: every pair is read, and nothing is a regression."""
    questions = int(1e5 * scale)
    write_run(folder / "run", list(_rows(range(questions), METHODS[:2])))
    base, samples = folder / "base.yaml", folder / "kept"
    made = command("gate", "--update", base, folder / "run", "--samples", samples)
    print(f"gate --update: {questions:,} questions, 2 methods: {made}", flush=True)
    tested = command("gate", base, folder / "run")
    print(f"gate: {questions:,} questions, 2 methods: {tested}", flush=True)


def adds(folder: Path, scale: float) -> None:
    """Each add is of a model of its own. Processes are forked, so that imports count once."""
    from calib_leaderboards.store.read import read_entries

    count, processes = int(1000 * scale), 20
    rows = list(_rows(range(20), METHODS[:2]))
    printed = {
        f"acc,{method}": sum(row["acc"] for row in rows) / len(rows) for method in METHODS[:2]
    }
    for number in range(count):
        run = folder / "runs" / str(number)
        write_run(run, rows, printed=printed, arguments={"pretrained": f"org/model-{number}"})
        (results,) = run.glob("results_*.json")
        content = json.loads(results.read_text())
        content["n-samples"] = {TASK: {"original": 20, "effective": 20}}
        results.write_text(json.dumps(content))
    _add(folder, 0)  # imports what else it needs
    began, before = time.perf_counter(), _processor()
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        pool.starmap(_add, [(folder, number) for number in range(1, count)], chunksize=1)
    took = f"{time.perf_counter() - began:.0f} s, of the processor {_processor() - before:.0f} s"
    lost = count - len(list(read_entries(folder / "store")))
    left = [path for path in (folder / "store").rglob("*.part")]
    print(f"adds: {count:,} by {processes} processes: {took}; lost {lost}, left {len(left)} .part")


def _add(folder: Path, number: int) -> None:
    from calib_leaderboards.store import add

    add([folder / "runs" / str(number)], folder / "store", resamples=100)


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _rows(numbers: range, methods: tuple[str, ...] = METHODS) -> Iterator[dict[str, Any]]:
    """The rows of a confidence task's log."""
    for i in numbers:
        for at, method in enumerate(methods):
            correct = i * 7 % 10 > 3
            record = {
                "task": TASK,
                "split": "test",
                "id": f"q{i}",
                "method": method,
                "question": f"What is {i}?",
                "answer": "a",
                "correct": int(correct),
                "confidence": round((0.1 + 0.5 * correct + (i * (13 + at) % 40) / 100), 3),
                "reason": None,
                "signature": "wording:yes_no",
            }
            yield {
                "doc_id": i,
                "filter": method,
                "doc_hash": f"{i:064x}",
                "metrics": [],
                "acc": int(correct),
                "doc": {"question": f"What is {i}?"},
                "target": "a",
                "arguments": {},
                "resps": [],
                "filtered_resps": [json.dumps(record)],
            }


LOADS = {"table": table, "log": log, "gate": gate, "adds": adds}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("loads", nargs="*", metavar="LOAD", help=", ".join(LOADS))
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes")
    given = parser.parse_args()
    if unknown := set(given.loads) - set(LOADS):
        parser.error(f"there is no {min(unknown)!r}, only {', '.join(LOADS)}")
    for name in given.loads or LOADS:
        with tempfile.TemporaryDirectory(prefix="calibench_load_") as folder:
            LOADS[name](Path(folder), given.scale)


if __name__ == "__main__":
    main()
