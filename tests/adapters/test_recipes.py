"""The recipes that ship, the commands that show them, and the configurations of hardware."""

import re
import shlex
from itertools import takewhile
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from click.testing import CliRunner

import calibench.cli
from calib_adapters.training.recipe import load_recipe, shipped_recipes


def run(*arguments):
    return CliRunner().invoke(calibench.cli.cli, [*map(str, arguments)])


def test_ls_names_every_recipe_with_what_it_trains():
    listed = dict(line.split(maxsplit=1) for line in run("recipes", "ls").output.splitlines())
    assert list(listed) == list(shipped_recipes())
    assert listed["calibration_tuning_probe"].startswith("Calibration tuning, probe: a head on")


def test_cat_prints_a_recipe_and_cp_copies_it_but_over_nothing(tmp_path):
    text = shipped_recipes()["sft"].read_text(encoding="utf-8")
    assert run("recipes", "cat", "sft").output == text
    assert run("recipes", "cp", "sft", tmp_path / "mine.yaml").exit_code == 0
    assert (tmp_path / "mine.yaml").read_text(encoding="utf-8") == text
    assert run("recipes", "cp", "sft", tmp_path).output == f"{tmp_path / 'sft.yaml'}\n"
    again = run("recipes", "cp", "sft", tmp_path)
    assert again.exit_code and isinstance(again.exception, FileExistsError)
    unknown = run("recipes", "cat", "stf")
    assert unknown.exit_code and isinstance(unknown.exception, FileNotFoundError)


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_opens_with_commands_that_run_it(name):
    text = shipped_recipes()[name].read_text(encoding="utf-8")
    opening = [line[1:].strip() for line in takewhile(lambda x: x[:1] == "#", text.splitlines())]
    joined = "\n".join(opening).replace("\\\n", " ")
    found = [shlex.split(line) for line in joined.splitlines() if line.startswith("calibench ")]
    tuned = [words[2:] for words in found if words[1] == "tune"]
    assert tuned
    for words in tuned:
        tune = calibench.cli.cli.commands["tune"]
        # Resilient: the folder behind --data is not there.
        given = tune.make_context("tune", [*words], resilient_parsing=True).params
        assert given["recipe"] == name and given["base"] and given["output"] and "--data" in words
        load_recipe(name, given["overrides"])


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_names_no_hardware(name):
    text = shipped_recipes()[name].read_text(encoding="utf-8")
    keys = re.findall(r"^\s*(\w+):", text, re.M)
    assert not {"device", "gpus", "processes", "num_processes", "deepspeed", "fsdp"} & set(keys)
    assert "method" in keys


def test_the_configurations_of_hardware_are_those_that_accelerate_reads():
    folder = Path(run("hardware").output.strip())
    configurations = {path.stem: load_config_from_file(str(path)) for path in folder.iterdir()}
    assert set(configurations) == {"cpu", "one_gpu", "ddp", "fsdp", "deepspeed_zero3"}
    assert configurations["fsdp"].fsdp_config["fsdp_version"] == 2
    assert configurations["deepspeed_zero3"].deepspeed_config["zero_stage"] == 3
