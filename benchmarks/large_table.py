"""Score a large Parquet table with `calibench score`: seconds and peak memory of the process.

python benchmarks/large_table.py --rows 100000000
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PART = 2_000_000  # rows written at once


def write(file: Path, rows: int, seed: int = 0) -> None:
    """Write confidences that are calibrated by construction."""
    rng = np.random.default_rng(seed)
    schema = pa.schema([("confidence", pa.float64()), ("correct", pa.int8())])
    with pq.ParquetWriter(file, schema) as writer:
        for begin in range(0, rows, PART):
            confidence = rng.random(min(PART, rows - begin))
            correct = (rng.random(confidence.size) < confidence).astype(np.int8)
            writer.write_table(pa.table([confidence, correct], schema=schema))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "table.parquet")
        write(file, arguments.rows)
        began = time.perf_counter()
        command = [sys.executable, "-m", "calibench", "score", str(file), "--resamples", "0"]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(
            f"\n{arguments.rows:,} rows: {time.perf_counter() - began:.0f} s, of the processor "
            f"{used.ru_utime + used.ru_stime:.0f} s, peak {used.ru_maxrss / 1e6:.1f} GB"
        )


if __name__ == "__main__":
    main()
