"""How far a long bootstrap has come: on a terminal, late, and without a trace at the end."""

import io

import numpy as np
import pytest

from calib_metrics import progress
from calib_metrics.resampling import draws


class Terminal(io.StringIO):
    def isatty(self):
        return True


def resampled(monkeypatch, stream, soon):
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(progress, "SOON", soon)
    monkeypatch.setattr(progress, "OFTEN", 0.0)
    return np.concatenate([counts.copy() for counts in draws(50_000, 6, seed=1)])


def test_a_terminal_shows_what_is_done_and_is_left_clean(monkeypatch):
    screen = Terminal()
    shown = resampled(monkeypatch, screen, 0.0)
    *counts, end = screen.getvalue().split("\r")[1:]
    assert counts == ["0 of 6 resamples", "2 of 6 resamples", "4 of 6 resamples"]
    assert end == "\x1b[K"
    assert np.array_equal(shown, resampled(monkeypatch, io.StringIO(), 0.0))


@pytest.mark.parametrize(("stream", "soon"), [
    (io.StringIO(), 0.0), (Terminal(), 1e9), (None, 0.0),
])  # fmt: skip
def test_logs_and_short_waits_show_nothing(monkeypatch, stream, soon):
    resampled(monkeypatch, stream, soon)
    assert stream is None or stream.getvalue() == ""
