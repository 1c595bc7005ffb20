"""A few of the bad inputs of `python -m audit`, and that it would notice what it looks for."""

import sys

import click
import pytest

import calibench.cli

if sys.platform != "linux":
    pytest.skip("limits of memory and privileges are those of Linux", allow_module_level=True)

from audit import of_tables
from audit.__main__ import run, verdict
from audit.damage import damaged
from audit.inputs import ROWS, table
from audit.suites import Suite
from audit.trial import call


def test_no_traceback_hang_or_silence_in_a_sample_of_bad_tables(tmp_path):
    tried, wrong = run(of_tables.score(tmp_path), every=12)
    assert tried.total() >= 15
    assert not {suite: dict(found) for suite, found in wrong.items() if found}


def test_every_change_is_another_content():
    content = table(ROWS)
    changes = [changed for _, changed, _ in damaged(content, "csv")]
    assert content not in changes and len(set(changes)) == len(changes)


def a_fault():
    raise KeyError("filter")


def endless():
    while True:
        pass


def silence():
    raise SystemExit(1)


@pytest.mark.parametrize(("does", "found"), [
    (a_fault, "traceback"), (endless, "hang"), (silence, "unclear"), (lambda: None, "let in"),
])  # fmt: skip
def test_what_it_looks_for_is_noticed(tmp_path, monkeypatch, does, found):
    monkeypatch.setitem(calibench.cli.cli.commands, "tasks", click.Command("tasks", callback=does))
    case = Suite("here", tmp_path, {}, ["tasks"], seconds=1.0).case("", "refused")
    assert verdict(case, call(case), None) == [found]
