"""The workflows: safe in a fork, and every command in them exists."""

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from calibench.cli import cli

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
pytestmark = pytest.mark.skipif(not FILES, reason="not a checkout: no workflows beside the tests")


def parse(file):
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def triggers(workflow):
    return workflow[True]  # YAML 1.1 reads the key `on` as true


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def commands(file):
    return [
        shlex.split(line)
        for step in steps(parse(file))
        for line in step.get("run", "").splitlines()
        if line
    ]


def test_the_nightly_matrix_has_every_python_that_is_supported():
    workflow = parse(ROOT / ".github" / "workflows" / "versions.yml")
    settings = (ROOT / "setup.cfg").read_text()
    (oldest,) = re.findall(r"^python_requires = >=3\.(\d+)$", settings, re.M)
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    minors = [int(each.removeprefix("3.")) for each in matrix["python"]]
    assert minors == list(range(int(oldest), minors[-1] + 1)) and minors[-1] >= 13
    assert "schedule" in triggers(workflow)


def test_tests_a_nightly_benchmark_and_the_page_have_a_workflow_each():
    found = {file.stem: parse(file) for file in FILES}
    assert set(found) == {"tests", "benchmark", "pages", "versions", "engines", "submission"}
    assert {"push", "pull_request"} <= set(triggers(found["tests"]))
    (nightly,) = triggers(found["benchmark"])["schedule"]
    minute, hour, *every_day = nightly["cron"].split()
    assert 0 <= int(minute) < 60 and 0 <= int(hour) < 24 and every_day == ["*", "*", "*"]
    run = {file.stem: [" ".join(words) for words in commands(file)] for file in FILES}
    assert "make test" in run["tests"] and "make regress" in run["benchmark"]
    assert "make engines" in run["engines"]
    for name in ("benchmark", "pages"):
        assert ".venv/bin/calibench leaderboard build" in run[name]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_action_is_pinned_by_its_commit_with_the_version_beside_it(file):
    lines = [line for line in file.read_text().splitlines() if re.search(r"\buses:", line)]
    assert len(lines) == sum("uses" in step for step in steps(parse(file)))
    for line in lines:
        assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_fork_needs_no_secret_and_a_pull_request_gets_no_rights(file):
    text, workflow = file.read_text(), parse(file)
    assert "secrets." not in text and "pull_request_target" not in text
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        rights = job.get("permissions", {})
        assert not rights or (file.stem, name) == ("pages", "deploy"), rights
        assert job["timeout-minutes"] <= 60
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    # What an outsider may write (titles, branch names) must not become part of a script.
    assert not any("${{" in step.get("run", "") for step in steps(workflow))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_runs_of_a_workflow_do_not_pile_up(file):
    rule = parse(file)["concurrency"]
    assert rule["group"] and isinstance(rule["cancel-in-progress"], bool)


def test_publishing_waits_until_a_person_turns_it_on():
    jobs = parse(ROOT / ".github" / "workflows" / "pages.yml")["jobs"]
    assert jobs["build"]["if"] == "vars.PUBLISH_PAGES == 'true'"
    assert jobs["deploy"]["needs"] == "build"  # skipped with it


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_cached_model_is_that_of_the_code(file):
    for step in steps(parse(file)):
        if step.get("uses", "").startswith("actions/cache@"):
            (named,) = re.findall(r"hashFiles\('([^']+)'\)", step["with"]["key"])
            assert (ROOT / named).is_file()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_command_exists(file):
    rules = (ROOT / "Makefile").read_text()
    targets = {*re.findall(r"^([\w-]+):", rules, re.M), ".venv/.ready"}
    for program, *words in commands(file):
        if program == "make":
            assert set(words) <= targets
            continue
        assert program == ".venv/bin/calibench"
        command = cli
        while words and hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        assert not hasattr(command, "commands")
        command.make_parser(click.Context(command)).parse_args(words)  # raises for unknown options
