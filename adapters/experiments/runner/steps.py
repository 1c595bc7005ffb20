"""Commands that are run once: their output stays under a name made of the command."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

OUT = "{out}"
DONE = "done.json"
CALIBENCH, EXPERIMENTS = "calibench", "python adapters/experiments"
PROGRAMS = {
    CALIBENCH: ("-m", "calibench"),
    EXPERIMENTS: (str(Path(__file__).resolve().parents[1]),),
}


class Steps:
    """Runs commands of calibench, or finds what they made before.

    Attributes:
        folder: where the outputs are.
        names: by a word that may stand in a command, the folder of this machine that it means; the
            log keeps the word.
        used: every step asked for, in order: command, seconds, and seconds of processor time.
    """

    def __init__(self, folder: Path, names: dict[str, str]):
        self.folder = folder
        self.names = names
        self.used: list[dict[str, Any]] = []

    def run(
        self,
        name: str,
        arguments: Sequence[str],
        resumes: bool = False,
        program: str = CALIBENCH,
    ) -> Path:
        """The output of ``calibench ARGUMENTS``; `OUT` in an argument stands for its folder.

        Args:
            name: begins the folder's name.
            arguments: of the command; part of the folder's name by their hash.
            resumes: whether the command goes on with what an interrupted one left.
            program: whose command it is, one of `PROGRAMS`.

        Raises:
            RuntimeError: the command failed; names its log.
        """
        key = hashlib.sha256(json.dumps(list(arguments)).encode()).hexdigest()[:10]
        step = self.folder / f"{name}-{key}"
        out, done, log = step / "out", step / DONE, step / "log.txt"
        words = [a.replace(OUT, f"{step.name}/out") for a in arguments]
        shown = " ".join([program, *map(_quoted, words)])
        if not done.exists():
            step.mkdir(parents=True, exist_ok=True)
            if not resumes:
                shutil.rmtree(out, ignore_errors=True)
            resolved = [self._resolve(a, out) for a in arguments]
            self._execute(shown, [*PROGRAMS[program], *resolved], done, log)
        took = json.loads(done.read_text(encoding="utf-8"))
        del took["command"]
        self.used.append({"command": shown, **took})
        return out

    def _resolve(self, argument: str, out: Path) -> str:
        for word, value in {OUT: str(out), **self.names}.items():
            argument = argument.replace(word, value)
        return argument

    def _execute(self, shown: str, arguments: list[str], done: Path, log: Path) -> None:
        print(f"$ {shown}", file=sys.stderr, flush=True)
        started, used = time.monotonic(), _processor_seconds()
        with log.open("a", encoding="utf-8") as output:
            status = subprocess.run(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        if status:
            raise RuntimeError(f"the command failed with status {status}; its log is {log}.")
        part = done.with_suffix(".part")
        took = {
            "seconds": round(time.monotonic() - started, 1),
            "processor_seconds": round(_processor_seconds() - used, 1),
        }
        part.write_text(json.dumps({"command": shown, **took}), encoding="utf-8")
        os.replace(part, done)


def _processor_seconds() -> float:
    """Of all commands so far that have ended, in user and system mode."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _quoted(word: str) -> str:
    """As a shell wants it; what begins with a dollar stays to be expanded."""
    if not re.search(r"""[\s"{}]""", word):
        return word
    return '"' + word.replace('"', '\\"') + '"'
