"""How far a long computation has come, for whoever waits at a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator

SOON, OFTEN = 3.0, 0.2  # seconds until something is shown, and until it is shown anew


def counting(done: Iterable[int], total: int, what: str) -> Iterator[int]:
    """Yield the numbers in `done`, and print them on standard error if it is a terminal.

    Nothing is printed in the first `SOON` seconds, and the line is removed at the end.
    """
    due, printed = time.monotonic() + SOON, False
    try:
        for number in done:
            if time.monotonic() >= due and sys.stderr and sys.stderr.isatty():
                print(f"\r{number:,} of {total:,} {what}", end="", file=sys.stderr, flush=True)
                due, printed = time.monotonic() + OFTEN, True
            yield number
    finally:
        if printed:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
