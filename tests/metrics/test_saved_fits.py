"""Saved fits as users and programs leave them: with a byte order mark, damaged, or in a pipe."""

import json
import os
import random

import pytest

from calib_metrics import combination, pipes, recalibration

DRAW = random.Random(0)
CONFIDENCE = [round(DRAW.uniform(0.05, 0.95), 2) for _ in range(60)]
CORRECT = [DRAW.randrange(2) for _ in CONFIDENCE]


def combined():
    return combination.fit({"a": CONFIDENCE}, CORRECT)


def recalibrated():
    return recalibration.fit(CONFIDENCE, CORRECT, "temperature")


pytestmark = pytest.mark.filterwarnings("ignore:The temperature stopped at its bound")
KINDS = [(combined, combination.load), (recalibrated, recalibration.load)]
both = pytest.mark.parametrize(("fit", "load"), KINDS)


@both
def test_a_byte_order_mark_changes_nothing(tmp_path, fit, load):
    file = tmp_path / "f.json"
    fit().save(file)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert load(file) == fit()


@both
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path, monkeypatch, fit, load):
    monkeypatch.setattr(pipes, "PATIENCE", 0.1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="nobody writes to"):
        load(tmp_path / "pipe")


@both
@pytest.mark.parametrize(
    "number", [10**400, -(10**400), True, float("nan"), float("inf")], ids=lambda x: str(x)[:5]
)
def test_a_number_that_no_double_holds_is_a_sentence(tmp_path, fit, load, number):
    file = tmp_path / "f.json"
    fit().save(file)
    saved = json.loads(file.read_text())
    if "weights" in saved:
        saved["weights"] = [number]
    else:
        saved["parameters"] = {"temperature": number}
    file.write_text(json.dumps(saved))
    with pytest.raises(ValueError, match="f.json is not a saved .* numbers"):
        load(file)


@both
@pytest.mark.parametrize("content", [b"", b"\xff\xfe{", b"[" * 100_000, b"{}", b"null"])
def test_what_is_no_fit_is_named(tmp_path, load, fit, content):
    (tmp_path / "f.json").write_bytes(content)
    with pytest.raises(ValueError, match="f.json is not a saved"):
        load(tmp_path / "f.json")
