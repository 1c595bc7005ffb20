"""Every command that a README or a help text shows can be given as it stands."""

import click
import pytest
from lm_eval._cli import HarnessCLI

from calib_adapters.training.recipe import load_recipe
from calibench.cli import cli
from calibench.options import task_names
from helpers.shown_commands import all_commands, commands, in_blocks, in_help, in_sentences

OURS = set(task_names("calib"))


def mistakes(shown, *, whole=True):
    """What the command line would refuse. `whole`: it is no part of a command."""
    whole = whole and not any("..." in word or "…" in word for word in shown.words)
    if shown.program != "calibench":
        return _of_lm_eval(list(shown.words)) if whole else []
    command, words, path = cli, list(shown.words), []
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        path.append(words.pop(0))
        command = command.commands[path[-1]]
    if isinstance(command, click.Group):
        return [] if not words or words[0].startswith("-") else [f"no command {words[0]!r}"]
    if path == ["eval"]:
        return _of_lm_eval(["run", *words]) if whole else []
    context = click.Context(command, info_name=path[-1])
    for key, value in cli.context_settings.items():
        if key == "token_normalize_func":
            context.token_normalize_func = value
    try:
        given, _, _ = command.make_parser(context).parse_args(words)
        return [
            problem
            for parameter in command.params
            for problem in _of_value(parameter, given.get(parameter.name), context, whole)
        ] + _of_recipe(path, given)
    except click.UsageError as error:
        return [error.format_message()] if whole or "No such option" in str(error) else []


def _of_value(parameter, value, context, whole):
    if not whole:
        return []
    empty = value is None or value == () or "UNSET" in repr(value)
    if empty:
        return [f"{parameter.name} is missing"] if parameter.required else []
    if isinstance(parameter.type, click.Path):  # files of a reader's own
        return []
    parameter.type_cast_value(context, value)
    return []


def _of_recipe(path, given):
    name, overrides = str(given.get("recipe")), given.get("overrides")
    if path[:1] != ["tune"] or name.endswith(".yaml") or not name.islower():
        return []
    try:
        load_recipe(name, overrides if isinstance(overrides, (tuple, list)) else ())
    except (ValueError, OSError) as error:
        return [str(error)]
    return []


def _of_lm_eval(words):
    """What lm-eval's own parser refuses, and tasks of ours that do not exist."""
    if not words or words[0] not in ("run", "ls", "validate"):
        words = ["run", *words]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["lm_eval", *words])
        try:
            given = HarnessCLI().parse_args()
        except SystemExit:
            return ["refused by lm_eval"]
    tasks = getattr(given, "tasks", None) or []
    named = [
        name for each in ([tasks] if isinstance(tasks, str) else tasks) for name in each.split(",")
    ]
    return [f"no task {name}" for name in named if name.startswith("calib_") and "*" not in name
            and "INNER" not in name and name not in OURS]  # fmt: skip


@pytest.mark.parametrize("shown", [*in_blocks(), *in_help()], ids=str)
def test_a_command_that_is_shown_can_be_given(shown):
    assert not mistakes(shown)


@pytest.mark.parametrize("shown", in_sentences(), ids=str)
def test_the_options_of_a_command_in_a_sentence_exist(shown):
    assert not mistakes(shown, whole=False)


def test_every_command_shows_an_example():
    without = [
        name
        for name, command in all_commands()
        if not isinstance(command, click.Group) and name.split()[-1] != "ls"
        and not any(shown.where == f"{name} --help" for shown in in_help())
    ]  # fmt: skip
    assert not without


@pytest.mark.parametrize("words", [
    "score t.csv --bin 3", "score", "leaderboard ad runs", "tune nothing --model M --data D -o O",
    "tune calibration_tuning_lora_prompt optimizer.epochs=1 --model M --data D -o O",
    "template generally --data d.csv -o O", "eval --task calib_worldfact", "eval --nothing 1",
    "grade runs -o",
])  # fmt: skip
def test_mistakes_are_found(words):
    (shown,) = commands(f"calibench {words}", "here")
    assert mistakes(shown)
