"""The answers as Markdown: which library gets which case right."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from calib_metrics.conformance.cases import Case, is_right, load_cases

_START, _END = "<!-- written by python -m calib_metrics.conformance --readme -->", "<!-- end -->"


def rewrite_readme(text: str, results: dict) -> str:
    """Return `text` with the part between its two marks replaced by the current tables.

    Raises ValueError when the marks are missing.
    """
    before, mark, rest = text.partition(_START)
    _, end, after = rest.partition(_END)
    if not mark or not end:
        raise ValueError(f"README.md has lost its marks: put back {_START} and {_END}.")
    return f"{before}{_START}\n\n{markdown(load_cases(), results)}\n{_END}{after}"


def verdict(library: ModuleType, case: Case, answer: dict) -> str:
    """Return "right", "wrong", "different" (as the library documents) or "not offered"."""
    if "not_offered" in answer:
        return "not offered"
    if is_right(case, answer):
        return "right"
    return "different" if case.id in getattr(library, "DIFFERENT", {}) else "wrong"


def markdown(cases: list[Case], results: dict) -> str:
    """Return the summary, the table of all cases, the notes, and the calls made."""
    libraries = {
        name: import_module(f"calib_metrics.conformance.libraries.{name}") for name in results
    }
    ran = {name: each for name, each in libraries.items() if results[name]["version"]}
    notes: list[str] = []
    parts = [
        _summary(cases, results, ran),
        _absent(libraries, results),
        _all_cases(cases, results, ran, notes),
        "\n".join(f"{number}. {note}" for number, note in enumerate(notes, start=1)),
        _calls(ran),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(cases: list[Case], results: dict, ran: dict[str, ModuleType]) -> str:
    lines = [
        "| library | version | cases asked | right | documented otherwise | wrong |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for name, library in ran.items():
        answers = results[name]["answers"]
        found = [verdict(library, case, answers[case.id]) for case in cases]
        offered = len(found) - found.count("not offered")
        counts = (found.count(word) for word in ("right", "different", "wrong"))
        label = f"[{library.NAME}]({library.DOCUMENTATION})"
        cells = [label, results[name]["version"], offered, *counts]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _absent(libraries: dict[str, ModuleType], results: dict) -> str:
    return "\n".join(
        f"Not run: {library.NAME} ({_one_line(results[name]['reason'])})."
        for name, library in libraries.items()
        if not results[name]["version"]
    )


def _all_cases(
    cases: list[Case], results: dict, ran: dict[str, ModuleType], notes: list[str]
) -> str:
    lines = [
        "| case | must be | " + " | ".join(library.NAME for library in ran.values()) + " |",
        "|---|--:|" + ":-:|" * len(ran),
    ]
    for case in cases:
        cells = [
            _cell(library, case, results[name]["answers"][case.id], notes)
            for name, library in ran.items()
        ]
        must = " or ".join(_text(each) for each in (case.expected, *case.also))
        lines.append(f"| {case.title} | {must} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(library: ModuleType, case: Case, answer: dict, notes: list[str]) -> str:
    found = verdict(library, case, answer)
    if found in ("right", "not offered"):
        return "✓" if found == "right" else "–"
    shown = "error" if "error" in answer else _text(answer["value"])
    if found == "wrong":
        return f"✗ {shown}" + (" (warns)" if "warned" in answer else "")
    note = f"{library.NAME}: {library.DIFFERENT[case.id]}"
    if note not in notes:
        notes.append(note)
    return f"≠ {shown} ({notes.index(note) + 1})"


def _calls(ran: dict[str, ModuleType]) -> str:
    lines = ["| library | metric | called as |", "|---|---|---|"]
    for library in ran.values():
        calls: dict[str, list[str]] = {}
        for metric, adapter in library.ADAPTERS.items():
            if adapter.__doc__:
                calls.setdefault(adapter.__doc__.splitlines()[0], []).append(metric)
        lines += [f"| {library.NAME} | {', '.join(m)} | `{call}` |" for call, m in calls.items()]
    return "\n".join(lines) if len(lines) > 2 else ""


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_text(each) for each in value)
    return value if isinstance(value, str) else f"{value:.4f}".rstrip("0").rstrip(".") or "0"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")[:200]
