"""Run every case on every installed library, each library in a process of its own.

    python -m calib_metrics.conformance the table, for the libraries installed here python -m
    calib_metrics.conformance --json here.json keep the answers python -m calib_metrics.conformance
    --merge there.json --readme
                                        add the answers of another environment, rewrite README.md

Some libraries cannot share an environment (they demand different NumPy versions): run each where it
installs, with this package's folder on PYTHONPATH, and merge.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np

from calib_metrics.conformance.cases import Case, load_cases
from calib_metrics.conformance.libraries import NAMES
from calib_metrics.conformance.libraries._inputs import NotOffered
from calib_metrics.conformance.table import markdown, rewrite_readme

_PATIENCE = 600  # seconds for one library, imports included: the slowest takes a tenth of it


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that this module's docstring describes."""
    parser = argparse.ArgumentParser(
        prog="python -m calib_metrics.conformance",
        description="Run golden calibration cases on the installed libraries; print who is right.",
    )
    parser.add_argument("--library", action="append", choices=NAMES, help="only this; repeatable")
    parser.add_argument("--json", type=Path, help="also write the answers to this file")
    parser.add_argument(
        "--merge", type=Path, action="append", default=[], help="answers from elsewhere (--json)"
    )
    parser.add_argument("--readme", action="store_true", help="rewrite the table in README.md")
    given = parser.parse_args(arguments)

    results = {name: ask_in_a_process(name) for name in given.library or NAMES}
    for path in given.merge:
        for name, result in json.loads(path.read_text(encoding="utf-8")).items():
            if result["version"] or name not in results:
                results[name] = result
    results = {name: results[name] for name in NAMES if name in results}
    if given.json:
        _write(given.json, json.dumps(results, indent=1) + "\n")
    if given.readme:
        readme = Path(__file__).with_name("README.md")
        _write(readme, rewrite_readme(readme.read_text(encoding="utf-8"), results))
    print(markdown(load_cases(), results))


def ask_in_a_process(name: str) -> dict:
    """Return `ask(name)`, from a new process: a crash or a hang is an answer too."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.json"
        # Not through standard output, on which libraries print as well.
        code = "import sys; from calib_metrics.conformance.run import ask_to_file as ask;"
        code += "ask(*sys.argv[1:])"
        environment = {**os.environ, "MPLBACKEND": "Agg"}
        try:
            done = subprocess.run(
                [sys.executable, "-c", code, name, str(path)],
                timeout=_PATIENCE,
                env=environment,
                capture_output=True,
                text=True,
            )
            problem = f"its process exited with status {done.returncode}: {done.stderr[-300:]}"
        except subprocess.TimeoutExpired:
            problem = f"it did not finish within {_PATIENCE} s"
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
    return {"version": None, "reason": problem, "answers": {}}


def ask_to_file(name: str, path: str) -> None:
    """Write `ask(name)` to a file."""
    _write(Path(path), json.dumps(ask(name)))


def ask(name: str) -> dict:
    """Return {"version", "reason", "answers"}: version None and a reason if it cannot be imported.

    answers: case id -> {"value": number, list, "nan" or "inf"}, {"error": text}, or
    {"not_offered": text}; with "warned": text where the library warned.
    """
    library = import_module(f"calib_metrics.conformance.libraries.{name}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = import_module(library.MODULE)
    except Exception as error:  # a broken installation may raise anything
        return {"version": None, "reason": f"{type(error).__name__}: {error}", "answers": {}}
    version = getattr(module, "__version__", None) or metadata.version(library.DISTRIBUTION)
    answers = {case.id: _answer(library.ADAPTERS, case) for case in load_cases()}
    return {"version": version, "reason": "", "answers": answers}


def _answer(adapters: dict, case: Case) -> dict:
    if case.metric not in adapters:
        return {"not_offered": case.metric}
    np.random.seed(0)  # for libraries that draw from NumPy's global state
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answer = {"value": _plain(adapters[case.metric](case.inputs, case.options))}
        except NotOffered as reason:
            return {"not_offered": str(reason)}
        except Exception as error:  # a refusal may be of any type
            return {"error": f"{type(error).__name__}: {error}"[:300]}
    about_the_input = [w for w in map(_message, caught) if "deprecat" not in w.lower()]
    if about_the_input:
        answer["warned"] = about_the_input[0]
    return answer


def _message(caught: warnings.WarningMessage) -> str:
    return str(caught.message)[:300]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    value = float(value)
    return value if np.isfinite(value) else str(abs(value) if np.isnan(value) else value)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
