"""`make demo`: what a newcomer reads, with commands that do nothing in place of calibench."""

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    not (ROOT / "Makefile").is_file() or shutil.which("make") is None, reason="not a checkout"
)
STUB = """\
#!/bin/sh
if [ "$1" = model ]; then echo MODEL; exit $NO_MODEL; fi
for word; do
    case $before in --output_path|-o)
        mkdir -p "$word"; touch "$word/README.md" "$word/grading.json" ;;
    esac
    before=$word
done
"""


@pytest.fixture
def checkout(tmp_path):
    """A folder with the Makefile, and an environment that is ready."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    program = tmp_path / ".venv" / "bin" / "calibench"
    program.parent.mkdir(parents=True)
    program.write_text(STUB)
    program.chmod(0o755)
    shutil.copy(program, program.with_name("python"))  # which launches two processes of it
    for name in ("setup.cfg", "pyproject.toml", "requirements-lock.txt", ".venv/.ready"):
        (tmp_path / name).touch()
    return tmp_path


def make(folder, *words, **environment):
    done = subprocess.run(
        ["make", "--silent", "--no-print-directory", *words], cwd=folder, text=True,
        env={"PATH": "/usr/bin:/bin", "NO_MODEL": "0", **environment}, capture_output=True,
    )  # fmt: skip
    return done.returncode, done.stdout


def steps(said):
    """Number, count and text of what is announced."""
    return re.findall(r"^== (\d+) of (\d+): (.+)$", said, re.M)


@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")])
def test_every_step_of_the_demo_announces_itself_once(checkout, jobs):
    code, said = make(checkout, *jobs, "demo")
    found = steps(said)
    assert code == 0
    assert sorted(int(number) for number, _, _ in found) == list(range(1, len(found) + 1))
    assert {int(count) for _, count, _ in found} == {len(found)}
    for _, _, text in found:
        assert re.search(r"\w  \[\d+:\d\d of about .*minutes\]$", text), text


def test_an_interrupted_demo_says_what_it_skips_and_does_the_rest(checkout):
    make(checkout, "demo")
    shutil.rmtree(checkout / "demo" / "leaderboard")
    code, said = make(checkout)
    *before, last = steps(said)
    assert code == 0
    assert all(text.endswith(": done before, skipped") for _, _, text in before)
    assert last[0] == last[1] and "minutes" in last[2]


def test_other_goals_say_nothing_of_the_demo(checkout):
    make(checkout, "demo")
    assert "skipped" not in make(checkout, "clean")[1]


def test_without_the_model_the_demo_ends(checkout):
    code, _ = make(checkout, "demo", NO_MODEL="1")
    assert code != 0 and not list((checkout / "demo").rglob("done"))


def test_the_environments_dtype_is_not_the_demos(checkout):
    assert "dtype=" not in make(checkout, "--just-print", "demo", DTYPE="float16")[1]
    assert "dtype=float16" in make(checkout, "--just-print", "demo", "DTYPE=float16")[1]


@pytest.mark.parametrize(("given", "program"), [("UV=", "/bin/pip"), ("UV=/opt/uv", "/opt/uv pip")])
def test_uv_installs_if_it_is_there_and_pip_if_not(checkout, given, program):
    (checkout / ".venv" / ".ready").unlink()
    _, said = make(checkout, "--just-print", ".venv/.ready", given)
    installs = [line for line in said.splitlines() if " install " in line]
    assert len(installs) == 3 and all(program in line for line in installs)
    assert installs[0].endswith(" torch==2.13.0")  # first
    newest = make(checkout, "--just-print", ".venv/.ready", given, TORCH="")[1]
    assert " torch\n" in newest


def test_every_dependency_is_pinned_by_hash_at_a_version_that_setup_cfg_allows():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = [setup["options"]["install_requires"]]
    wanted += [setup["options.extras_require"][extra] for extra in ("all", "plots", "test")]
    lock = (ROOT / "requirements-lock.txt").read_text(encoding="utf-8")
    pinned = re.findall(
        r"^(\S+)==(\S+)((?: ;[^\\\n]+)?)((?: \\\n +--hash=sha256:\w{64})+)$", lock, re.M
    )
    assert len(pinned) == len(re.findall(r"^\w", lock, re.M))
    for line in "\n".join(wanted).split("\n"):
        if not line or line.startswith(("torch", "calibench")):
            continue  # torch is chosen by the machine
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        versions = [version for found, version, _, _ in pinned if found == name]
        assert versions and all(map(requirement.specifier.contains, versions)), line
