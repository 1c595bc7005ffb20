"""The command as a whole: how it is started, spelled and completed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from calibench.cli import cli

SCRIPT = Path(sys.executable).parent / "calibench"


def run(*command, **environment):
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    ).stdout


def test_the_package_runs_as_a_module_and_tells_the_version_of_the_distribution():
    from importlib.metadata import version

    assert run(sys.executable, "-m", "calibench", "--version").split()[-1] == version("calibench")


@pytest.mark.parametrize("spelling", ["--output_path", "--output-path", "--output", "-o"])
def test_options_can_be_spelled_with_dashes_and_underscores(spelling, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    done = CliRunner().invoke(
        cli, ["leaderboard", "build", "--store", str(empty), spelling, str(tmp_path / "out")]
    )
    assert isinstance(done.exception, FileNotFoundError)  # and not a usage error


def test_a_choice_with_a_dash_is_taken_as_it_is_written(tmp_path):
    (tmp_path / "store").mkdir()
    done = CliRunner().invoke(
        cli,
        [
            "leaderboard",
            "export",
            "model-index",
            "--store",
            str(tmp_path / "store"),
            "-o",
            str(tmp_path / "out"),
        ],
    )
    assert done.exit_code != 2, done.output


def test_a_shell_completes_commands_and_recipes():
    def complete(words):
        found = run(
            SCRIPT,
            _CALIBENCH_COMPLETE="bash_complete",
            COMP_WORDS=words,
            COMP_CWORD=str(len(words.split()) - 1),
        )
        return [line.split(",")[1] for line in found.splitlines()]

    assert complete("calibench leader") == ["leaderboard"]
    assert complete("calibench tune cogcalib_e") == ["cogcalib_ecp"]
