"""Imports between modules: from the higher package to the lower one, without a cycle."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {  # and their layers
    "calib_metrics": (ROOT / "calib_metrics", 0),
    "harness_tasks": (ROOT / "harness_tasks", 1),
    "calib_adapters": (ROOT / "adapters" / "calib_adapters", 2),
    "calib_leaderboards": (ROOT / "leaderboards" / "calib_leaderboards", 2),
    "calibench": (ROOT / "calibench", 3),
}
UNIX = {"fcntl", "grp", "pwd", "resource", "termios"}
OF_DATA = {"tables.py", "works.py"}  # of the builders of WorldFacts


def module_name(package, folder, file):
    parts = file.relative_to(folder).with_suffix("").parts
    return ".".join((package, *(part for part in parts if part != "__init__")))


def imported_names(file):
    """What a file imports anywhere, also in functions and for type checkers only."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="module")
def graph():
    """module -> the modules of this project that it imports."""
    files = {
        module_name(package, folder, file): file
        for package, (folder, _) in PACKAGES.items()
        for file in folder.rglob("*.py")
    }
    assert len(files) > 300
    graph = {}
    for module, file in files.items():
        found = set()
        for name in imported_names(file):
            while name and name not in files:
                name = name.rpartition(".")[0]
            found.add(name)
        graph[module] = found - {"", module}
    return graph


def test_no_module_imports_another_of_a_package_above_or_beside_its_own(graph):
    wrong = []
    for module, imported in graph.items():
        own = module.partition(".")[0]
        for name in imported:
            other = name.partition(".")[0]
            if other != own and PACKAGES[other][1] >= PACKAGES[own][1]:
                wrong.append((module, name))
    assert wrong == []


def test_no_modules_import_each_other(graph):
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which shows the cycle


def test_no_test_imports_a_test():
    tests = {file: file.stem for file in (ROOT / "tests").rglob("test_*.py")}
    wrong = [
        (file.name, name)
        for file in tests
        for name in imported_names(file)
        if set(name.split(".")) & (set(tests.values()) - {file.stem})
    ]
    assert len(tests) > 100 and wrong == []


def test_no_file_is_longer_than_350_lines():
    folders = (*(folder for folder, _ in PACKAGES.values()), ROOT / "tests", ROOT / "benchmarks")
    lines = {
        file: len(file.read_text(encoding="utf-8").splitlines())
        for folder in folders
        for file in folder.rglob("*.py")
        if file.name not in OF_DATA or file.parent.parent.name != "builders"
    }
    assert [(file.name, n) for file, n in lines.items() if n > 350] == []


def test_no_module_needs_to_import_what_windows_lacks():
    wrong = [
        f"{file}: {node.lineno}"
        for folder, _ in PACKAGES.values()
        for file in folder.rglob("*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        and {getattr(node, "module", None), *(alias.name for alias in node.names)} & UNIX
    ]
    assert wrong == []
