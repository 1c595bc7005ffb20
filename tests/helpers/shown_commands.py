"""The commands that documentation shows: in code blocks of Markdown and in the help of commands."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

import click

from calibench.cli import cli

ROOT = Path(__file__).parents[2]
PROGRAMS = ("calibench", "lm_eval", "lm-eval")
_BLOCK = re.compile(r"^ *```[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`+(calibench [^`]+)`+")
_INNER = re.compile(r"[$<]\(([^()]*)\)")  # $(…) and <(…)
_SEPARATE = {";", "&", "&&", "|", "||", "(", ")", "do", "done", "then", "fi", "{", "}", "if"}
_SET_ALONE = re.compile(r"""\s*(\w+)=("[^"]*"|'[^']*'|\S+)\s*""")
_SET = re.compile(r"\w+=.*")


class Shown(NamedTuple):
    """A command: where it stands, its program and its arguments."""

    where: str
    program: str
    words: tuple[str, ...]

    def __str__(self):
        return f"{self.where}: {self.program} {' '.join(self.words)}"


def documents():
    """All Markdown files of the repository."""
    skipped = {".venv", "node_modules", "build", "dist", ".git", "demo", "runs"}
    for file in sorted(ROOT.rglob("*.md")):
        if not skipped & set(file.relative_to(ROOT).parts):
            yield file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")


def in_blocks():
    """The commands in code blocks."""
    for name, text in documents():
        for block in _BLOCK.findall(text):
            yield from commands(block, name)


def in_sentences():
    """Commands between backticks in a sentence, which may be a part of one."""
    for name, text in documents():
        for found in _INLINE.findall(_BLOCK.sub("", text)):
            yield from commands(re.sub(r"\s+", " ", found), name)


def all_commands(group=cli, name="calibench"):
    """Every command of `calibench` with its name."""
    for key, command in group.commands.items():
        yield f"{name} {key}", command
        if isinstance(command, click.Group):
            yield from all_commands(command, f"{name} {key}")


def in_help():
    """The commands in the help of commands."""
    for name, command in [("calibench", cli), *all_commands()]:
        lines = (command.help or "").replace("\b", "").splitlines()
        shown = [line for line in lines if re.match(r" {2,}|\t", line)]
        yield from commands("\n".join(shown), f"{name} --help")


def commands(text, where):
    """Yield the commands of `PROGRAMS` in lines of a shell."""
    variables = {}
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        line = re.sub(r"\$(\w+)", lambda found: variables.get(found[1], found[0]), line)
        if assigned := _SET_ALONE.fullmatch(line):
            variables[assigned[1]] = assigned[2].strip("\"'")
        waiting = [re.sub(r"^\s*\$ ", "", line)]
        while waiting:
            part = waiting.pop()
            while inner := _INNER.search(part):
                waiting.append(inner[1])
                part = f"{part[: inner.start()]}INNER{part[inner.end() :]}"
            yield from _of_line(part, where)


def _of_line(line, where):
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    try:
        words = [*reader, ";"]
    except ValueError:  # a sentence, not a command
        return
    segment = []
    for word in words:
        if word not in _SEPARATE:
            segment.append(word)
            continue
        while segment and _SET.fullmatch(segment[0]):
            segment.pop(0)
        if "-m" in segment[:-1] and segment[segment.index("-m") + 1] in PROGRAMS:
            segment = segment[segment.index("-m") + 1 :]
        if segment and segment[0].rpartition("/")[2] in PROGRAMS:
            cut = next((i for i, each in enumerate(segment) if each in (">", ">>", "<")), None)
            yield Shown(where, segment[0].rpartition("/")[2], tuple(segment[1:cut]))
        segment = []
