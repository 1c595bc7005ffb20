"""Names of pages and anchors that are safe in links, made from those of models and entries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from calib_leaderboards.store.paths import slug


def model_pages(models: Iterable[str]) -> dict[str, str]:
    """The page of each model, as a path in the site.

    Names that differ only in case get a number: some file systems treat them as equal.
    """
    pages: dict[str, str] = {}
    taken: set[str] = set()
    for model in sorted(set(models)):
        name = wanted = slug(model)
        number = 1
        while name.lower() in taken:
            number += 1
            name = f"{wanted}-{number}"
        taken.add(name.lower())
        pages[model] = f"model/{name}.html"
    return pages


def anchor(key: str, method: str) -> str:
    """The id of a method's charts on the page of its model; key: the entry's path in the store.

    >>> anchor("org__a/main/task--3-shot", "likelihood")
    'org__a/main/task--3-shot.likelihood'
    """
    return f"{key}.{slug(method)}"


def size_text(parameters: int | None) -> str:
    """Millions or billions, as "135M" and "7.2B", or "" where unknown."""
    if parameters is None:
        return ""
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if parameters >= unit:
            value = parameters / unit
            return f"{value:.1f}{name}".replace(".0", "") if value < 10 else f"{value:.0f}{name}"
    return str(parameters)


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun, as "1 task" and "2,000 tasks"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def breakable(name: str) -> Markup:
    """A name as HTML with a possible line break after each underscore and slash.

    >>> breakable("a_b<i>")
    Markup('a_<wbr>b&lt;i&gt;')
    """
    return Markup("<wbr>").join(re.split(r"(?<=[_/])", name))


def distinct(labels: Sequence[Sequence[str]]) -> list[str]:
    """A text for each row of parts: the first, then in brackets those that differ among rows."""
    texts = []
    for row in labels:
        same = [other for other in labels if other[0] == row[0]]
        more = [
            part
            for place, part in enumerate(row[1:], start=1)
            if part and len({other[place] for other in same}) > 1
        ]
        texts.append(f"{row[0]} ({', '.join(more)})" if more else row[0])
    return texts
