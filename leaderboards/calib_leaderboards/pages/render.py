"""The templates of the site's pages."""

from __future__ import annotations

from functools import cache
from operator import and_
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from calib_leaderboards.pages.names import breakable


def render(template: str, **values: object) -> bytes:
    """A page in UTF-8."""
    return _environment().get_template(template).render(**values).encode("utf-8")


@cache
def _environment() -> Environment:
    # autoescape: names come from anyone's files.
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["breakable"] = breakable
    templates.filters["bitand"] = and_
    return templates
