"""`pip install calibench` without extras: tables are scored, and the rest says what it needs.

The environment holds the project and exactly what setup.cfg says that it cannot do without, as
links to the packages of this environment: no network, no copies.
"""

import configparser
import re
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest

from calibench.cli import IN_ALL

ROOT = Path(__file__).parents[2]
CSV = "question,confidence,correct\na,0.9,1\nb,0.6,1\nc,0.3,0\nd,0.8,0\n"
# What a distribution is imported as, where that is not its name.
IMPORTED = {"pyyaml": "yaml", "scikit-learn": "sklearn", "rouge-score": "rouge_score"}


def requirements(section, option):
    """The distributions that setup.cfg names in a list, without versions and comments."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = config[section][option].split("\n")
    return [re.match(r"[\w.-]+", line)[0] for line in lines if line.strip()]


def needed(names):
    """The distributions, and all that they require without extras."""
    found, waiting = {}, list(names)
    while waiting:
        distribution = metadata.distribution(waiting.pop())
        name = distribution.metadata["Name"]
        if name not in found:
            found[name] = distribution
            for line in distribution.requires or []:
                if ";" not in line:
                    waiting.append(re.match(r"[\w.-]+", line)[0])
    return found


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment as pip would leave it, with this one's calibench."""
    folder = tmp_path_factory.mktemp("light") / "venv"
    venv.create(folder, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    # A checkout also holds what setuptools wrote about it, which is no installation.
    found = metadata.distributions(name="calibench")
    installed = next(each for each in found if each.read_text("RECORD"))
    distributions = needed(requirements("options", "install_requires"))
    for distribution in (installed, *distributions.values()):
        for part in {file.parts[0] for file in distribution.files} - {".."}:
            (packages / part).symlink_to(Path(distribution.locate_file(part)).resolve())
    return folder / "bin" / "python"


def run(python, *arguments):
    return subprocess.run(
        [python, "-I", "-m", "calibench", *map(str, arguments)], capture_output=True, text=True
    )


def test_it_holds_neither_torch_nor_lm_eval(python):
    names = (*IN_ALL, "pandas", "matplotlib")
    code = f"import importlib.util as u; print([n for n in {names} if u.find_spec(n)])"
    found = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_table_is_scored(python, tmp_path):
    file = tmp_path / "answers.csv"
    file.write_text(CSV)
    found = run(python, "score", file, "--resamples", "20", "--json", tmp_path / "scores.json")
    assert found.returncode == 0, found.stderr
    # Gaps .1, .4, .3 and .8 in bins of their own; of four pairs three in order.
    assert re.search(r"ece ↓ +0.4000", found.stdout) and re.search(r"auroc ↑ +0.7500", found.stdout)
    assert found.stderr == "" and (tmp_path / "scores.json").exists()


@pytest.mark.parametrize("arguments", [("--help",), ("score", "--list_metrics"), ("tasks",)])
def test_what_needs_nothing_more_works(python, arguments):
    found = run(python, *arguments)
    assert found.returncode == 0 and found.stdout and found.stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("eval", "--model", "calib-hf", "--tasks", "calib_worldfacts"),
        ("tune", "calibration_tuning_lora_prompt", "--model", "m", "--data", ".", "-o", "out"),
        ("grade", ".", "-o", "out"),
        ("leaderboard", "build", ".", "-o", "out"),
        ("gate", __file__, "."),
    ],
)
def test_a_command_that_needs_more_says_so_in_one_sentence(python, arguments):
    found = run(python, *arguments)
    assert found.returncode == 1 and found.stdout == ""
    assert re.fullmatch(
        r"calibench: this command needs \w+, which is missing: "
        r"pip install 'calibench\[all\]'\n",
        found.stderr,
    )


def test_figures_ask_for_matplotlib(python, tmp_path):
    file = tmp_path / "answers.csv"
    file.write_text(CSV)
    found = run(python, "score", file, "--resamples", "0", "--figures", tmp_path / "figures")
    assert found.returncode == 1
    assert found.stderr == "calibench: figures need matplotlib: pip install 'calibench[plots]'\n"


def test_the_sentence_knows_every_package_of_the_extra():
    names = [name.lower() for name in requirements("options.extras_require", "all")]
    assert {IMPORTED.get(name, name.replace("-", "_")) for name in names} <= IN_ALL
