"""What the cases of all commands are built of: a valid input, and changes of it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from audit.damage import Expected, Kind, changed, damaged, places, to_json
from audit.trial import Case

Files = Mapping[str, bytes]
_NUMBERS = itertools.count()


class Suite:
    """Cases of one valid input: files, and the arguments that name them.

    outputs: what the command would write, relative to the folder where it is called.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        files: Files,
        arguments: Sequence[str],
        outputs: Sequence[str] = (),
        seconds: float = 20.0,
        environment: Mapping[str, str] | None = None,
    ):
        self.name, self.root, self.files = name, root, dict(files)
        self.arguments, self.outputs, self.seconds = tuple(arguments), tuple(outputs), seconds
        self.environment = dict(environment or {})

    def case(self, what: str, expected: Any, *, arguments: Any = None, **options: Any) -> Case:
        """Return a case in a folder of its own, which is made."""
        folder = self.root / f"{next(_NUMBERS):05}"
        folder.mkdir()
        folder.chmod(0o777)
        return Case(
            self.name,
            what,
            self.arguments if arguments is None else tuple(arguments),
            expected,
            folder,
            options.pop("outputs", self.outputs),
            seconds=self.seconds,
            environment={**self.environment, **options.pop("environment", {})},
            **options,
        )

    def write(self, case: Case, files: Files | None = None) -> Case:
        """Write the valid files into the case's folder, but for those in `files`."""
        for name, content in {**self.files, **(files or {})}.items():
            path = case.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return case

    def valid(self) -> Iterator[Case]:
        """The valid input, to compare with."""
        yield self.write(self.case("the valid input", "valid"))

    def of_bytes(self, file: str, kind: Kind, **expected: Expected) -> Iterator[Case]:
        """Changes of a file's bytes; `expected` by what was changed, "_" for a space."""
        for what, content, usual in damaged(self.files[file], kind):
            must = expected.get(what.replace(" ", "_"), usual)
            yield self.write(self.case(f"{file}: {what}", must), {file: content})

    def of_places(self, file: str, **expected: Expected) -> Iterator[Case]:
        """Something else where the file should be."""
        scratch = self.case("", "any").folder
        path = scratch / file
        path.parent.mkdir(parents=True, exist_ok=True)
        for what, usual in places(path, lambda: path.write_bytes(self.files[file])):
            case = self.case(
                f"{file}: {what}", expected.get(what.replace(" ", "_"), usual),
                unprivileged=what == "unreadable",
            )  # fmt: skip
            self.write(case)
            (case.folder / file).unlink()
            _copy(path, case.folder / file)
            yield case

    def of_rows(
        self,
        file: str,
        expected: Callable[[tuple[Any, ...], str], Expected] = lambda path, name: "any",
        *,
        place: int = 1,
        inside: str = "",
    ) -> Iterator[Case]:
        """Changes of one value in a row of JSON Lines.

        inside: "record": of the record that a row of a log holds, as text.
        """
        rows = [json.loads(line) for line in self.files[file].splitlines()]
        row = rows[place]
        whole = json.loads(row["filtered_resps"][0]) if inside else row
        for what, copy, must in changed(whole, expected):
            line = to_json(copy)
            if inside:
                row["filtered_resps"][0] = line
                line = json.dumps(row)
            lines = [json.dumps(each) for each in rows]
            lines[place] = line
            content = "".join(f"{each}\n" for each in lines).encode()
            yield self.write(self.case(f"{file}: {inside} {what}", must), {file: content})

    def of_object(
        self,
        file: str,
        expected: Callable[[tuple[Any, ...], str], Expected] = lambda path, name: "any",
        *,
        depth: int = 3,
    ) -> Iterator[Case]:
        """Changes of one value in a file that holds one JSON object (or YAML that is JSON)."""
        for what, copy, must in changed(json.loads(self.files[file]), expected, depth):
            content = to_json(copy).encode()
            yield self.write(self.case(f"{file}: {what}", must), {file: content})

    def of_options(
        self, given: Mapping[tuple[str, ...], Expected], *, instead: Sequence[str] | None = None
    ) -> Iterator[Case]:
        """Further arguments; `instead`: of those of the suite."""
        for words, must in given.items():
            arguments = (*(self.arguments if instead is None else instead), *words)
            shown = " ".join(word if len(word) < 60 else f"{word[:57]}..." for word in words)
            yield self.write(self.case(shown, must, arguments=arguments))

    def of_outputs(self, output: str, *, exists: Expected = "refused") -> Iterator[Case]:
        """Somewhere to write to where nothing can be written. `output` is one of the outputs."""
        for what, make in _UNWRITABLE.items():
            case = self.write(
                self.case(f"the output is {what}", "refused", outputs=(), unprivileged=True)
            )
            make(case.folder / output)
            yield case
        case = self.write(self.case("the output is a full folder", exists, outputs=()))
        (case.folder / output).mkdir()
        (case.folder / output / "mine.txt").write_text("mine")
        yield case


def _file(path: Path) -> None:
    path.write_text("mine")


def _closed(path: Path) -> None:
    path.parent.chmod(0o555)


def _loop(path: Path) -> None:
    path.symlink_to(path)


_UNWRITABLE: dict[str, Callable[[Path], None]] = {
    "a file": _file,
    "in a folder that is not to be written to": _closed,
    "a link to itself": _loop,
}


def _copy(source: Path, target: Path) -> None:
    """Copy a file, a folder, a pipe or a link; links point into the folder of the copy."""
    if source.is_symlink():
        to = Path(os.readlink(source))
        if to.name.startswith("target_"):
            shutil.copy(to, target.with_name(to.name))
        target.symlink_to(target.with_name(to.name) if to.parent == source.parent else to)
    elif source.is_fifo():
        os.mkfifo(target)
    elif source.is_dir():
        target.mkdir()
    elif source.exists():
        shutil.copy(source, target)  # with its mode
