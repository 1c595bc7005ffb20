"""Charts as SVG text: small, deterministic, readable on light and dark pages."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from functools import cache

from calib_leaderboards.store.entry import Reliability, RiskCoverage
from calib_leaderboards.tables.row import Cell
from calib_leaderboards.tables.words import number

# Colours are the page's variables; a standalone file carries its own.
_STYLE = """\
<style>
:root{--ink:#1f2933;--soft:#5b6772;--faint:#e1e6ea;--pale:#b9c6d2;--blue:#0072b2;--gap:#d55e00;\
--page:#fff}
@media (prefers-color-scheme:dark){:root{--ink:#e6eaee;--soft:#a3afba;--faint:#333d47;\
--pale:#566574;--blue:#56b4e9;--gap:#f0904a;--page:#14191f}}
svg{background:var(--page)}
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--ink)}
.soft{fill:var(--soft)}.small{font-size:10.5px}
.strong{font-weight:700}.end{text-anchor:end}.mid{text-anchor:middle}
.grid{stroke:var(--faint);fill:none}.line{stroke:var(--ink);fill:none;stroke-width:1.4}
.dash{stroke:var(--ink);fill:none;stroke-dasharray:4 3}.bar{fill:var(--pale)}
.main{fill:var(--blue)}.gap{fill:var(--gap);fill-opacity:.28;stroke:var(--gap)}
.curve{stroke:var(--blue);fill:none;stroke-width:2}
.points{stroke:var(--blue);stroke-width:7;stroke-linecap:round;fill:none}
.whisker{stroke:var(--blue);stroke-width:1.5;fill:none}
</style>"""
_ROW, _TALL, _LABEL, _PLOT, _RIGHT = 26, 36, 250, 230, 52  # rows of one line and of two
_LONGEST, _LONGEST_SMALL = 34, 37  # characters of a label's two lines that fit beside the bars


def bars(
    rows: Sequence[tuple[str, str, Cell | None, bool]],
    title: str,
    *,
    top: float | None = None,
    chance: float | None = None,
    alone: bool = False,
) -> str:
    """Horizontal bars with their intervals as whiskers.

    rows: (label, what distinguishes it from others of that label or "", metric, whether to
        emphasise); the
    second is a line of its own, cut in the middle if it is long. top: the axis ends there; None:
    beyond the largest value. chance: where to draw a dashed line. alone: as a standalone file, with
    colours.
    """
    known = [m for _, _, m, _ in rows if m is not None and m.value is not None]
    end = top or _nice(max([m.value for m in known] + [m.high or 0 for m in known] + [0.1]))
    step = _TALL if any(more for _, more, _, _ in rows) else _ROW
    width, height = _LABEL + _PLOT + _RIGHT, 56 + step * len(rows)
    bottom = 30 + step * len(rows)

    def x(value: float) -> str:
        return f"{_LABEL + _PLOT * min(max(value / end, 0), 1):.1f}"

    parts = [_grid_x(x, end, 26, bottom)]
    for place, (label, more, metric, strong) in enumerate(rows):
        y = 30 + step * place + (step - _ROW) / 2  # of the bar; a label of two lines is higher
        longest = _LONGEST - 4 * strong  # bold letters are wider
        short = label if len(label) <= longest else label[: longest - 1] + "…"
        weight = " strong" if strong else ""
        parts.append(
            f'<text class="end{weight}" x="{_LABEL - 8}" y="{y + (9 if more else 15):g}">'
            f"{html.escape(short)}<title>{html.escape(_joined(label, more))}</title></text>"
        )
        if more:
            parts.append(
                f'<text class="soft small end" x="{_LABEL - 8}" y="{y + 23:g}">'
                f"{html.escape(_cut_inside(more))}<title>{html.escape(more)}</title></text>"
            )
        if metric is None or metric.value is None:
            parts.append(f'<text class="soft" x="{_LABEL + 6}" y="{y + 15:g}">undefined</text>')
            continue
        kind = "main" if strong else "bar"
        length = float(x(metric.value)) - _LABEL
        parts.append(
            f'<rect class="{kind}" x="{_LABEL}" y="{y + 3:g}" width="{length:.1f}" height="17"/>'
        )
        if metric.low is not None and metric.high is not None:
            low, high = x(metric.low), x(metric.high)
            parts.append(
                f'<path class="line" d="M{low},{y + 8:g}v7M{high},{y + 8:g}v7'
                f'M{low},{y + 11.5}H{high}"/>'
            )
        parts.append(
            f'<text class="{weight.strip()}" x="{_LABEL + _PLOT + 8}" y="{y + 16:g}">'
            f"{number(metric.value)}</text>"
        )
    if chance is not None:
        parts.append(f'<path class="dash" d="M{x(chance)},24V{bottom}"/>')
        parts.append(f'<text class="soft mid" x="{x(chance)}" y="20">chance</text>')
    parts.append(
        f'<text class="strong" x="{_LABEL}" y="18">{html.escape(title)}</text>'
        if chance is None
        else f'<text class="strong end" x="{_LABEL - 8}" y="18">{html.escape(title)}</text>'
    )
    return _svg(width, height, _described(title, rows), parts, alone)


def reliability(bins: Reliability, title: str) -> str:
    """Accuracy of each bin as a bar, its gap to the mean confidence, and a 95 % Wilson interval.

    Below it is the number of answers in each bin.
    """
    left, size, base = 44, 230, 240
    most = max(bins.count) or 1
    accuracy, gaps, points, whiskers, counts = (list[float]() for _ in range(5))
    for low, high, count, mean, share in zip(
        bins.lower, bins.upper, bins.count, bins.confidence, bins.accuracy, strict=True
    ):
        x, w = left + size * low + 0.5, size * (high - low) - 1
        tall = 44 * count / most
        counts += x, tall, w, tall
        if not count or mean is None or share is None:
            continue
        at, here = base - size * share, left + size * mean
        accuracy += x, at, w
        gaps += x, at, w, base - size * mean, w
        points += here, at
        bottom, up = _wilson(share, count)
        whiskers += here, base - size * bottom, base - size * up
    parts = [
        _square(left, base, size),
        _path("bar", f"M%.1f,{base}V%.1fh%.1fV{base}z", accuracy),
        _path("gap", "M%.1f,%.1fh%.1fV%.1fh-%.1fz", gaps),
        f'<path class="dash" d="M{left},{base}l{size},-{size}"/>',
        _path("whisker", "M%.1f,%.1fV%.1f", whiskers),
        _path("points", "M%.1f,%.1fh0", points),
        _path("bar", f"M%.1f,{base + 56:.1f}v-%.1fh%.1fv%.1fz", counts),
        f'<path class="grid" d="M{left},{base + 56}h{size}"/>',
        f'<text class="soft mid" x="{left + size / 2}" y="{base + 86}">Confidence</text>',
        f'<text class="soft mid" transform="translate(12,{base - size / 2})rotate(-90)">Accuracy'
        "</text>",
        f'<text class="soft end" x="{left - 6}" y="{base + 54}">n</text>',
        _numbers(left, base + 70, size),
    ]
    description = "; ".join(
        f"confidence {mean:.2f}: accuracy {share:.2f} of {count}"
        for mean, share, count in zip(bins.confidence, bins.accuracy, bins.count, strict=True)
        if mean is not None and share is not None
    )
    return _svg(284, 334, f"{title}. {description}", parts)


def _path(kind: str, part: str, numbers: Sequence[float]) -> str:
    """Parts of a path, formatted at once: thousands of charts are drawn."""
    drawn = part * (len(numbers) // part.count("%")) % tuple(numbers)
    return f'<path class="{kind}" d="{drawn}"/>'


def risk_coverage(curve: RiskCoverage, title: str) -> str:
    """Error rate among the most confident share of the answers, for each share."""
    left, size, base = 44, 230, 240
    pairs = list(zip(curve.coverage, curve.risk, strict=True))
    places = [place for c, r in pairs for place in (left + size * c, base - size * r)]
    line = ("L%.1f,%.1f" * len(pairs) % tuple(places))[1:]
    whole = pairs[-1][1] if pairs else 0.0
    parts = [
        _square(left, base, size),
        f'<path class="dash" d="M{left},{base - size * whole:.1f}h{size}"/>',
        f'<path class="curve" d="M{line}"/>',
        _numbers(left, base + 16, size),
        f'<text class="soft mid" x="{left + size / 2}" y="{base + 34}">Coverage</text>',
        f'<text class="soft mid" transform="translate(12,{base - size / 2})rotate(-90)">Risk'
        "</text>",
    ]
    description = "; ".join(
        f"the most confident {c:.0%}: {r:.0%} wrong" for c, r in pairs[:: max(len(pairs) // 5, 1)]
    )
    return _svg(284, 282, f"{title}. {description}", parts)


def _svg(width: float, height: float, title: str, parts: Iterable[str], alone: bool = False) -> str:
    """`title` is what a screen reader reads out in place of the picture."""
    style = _STYLE if alone else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{html.escape(title)}">{style}'
        f"{''.join(parts)}</svg>"
    )


def _described(title: str, rows: Iterable[tuple[str, str, Cell | None, bool]]) -> str:
    values = (
        f"{_joined(label, more)} {'undefined' if m is None else number(m.value)}"
        for label, more, m, _ in rows
    )
    return f"{title}: {'; '.join(values)}"


def _joined(label: str, more: str) -> str:
    return f"{label} ({more})" if more else label


def _cut_inside(text: str) -> str:
    """Names differ at their beginnings and ends, so cut the middle."""
    half = (_LONGEST_SMALL - 1) // 2
    return text if len(text) <= _LONGEST_SMALL else f"{text[:half]}…{text[-half:]}"


def _grid_x(x, end: float, top: float, bottom: float) -> str:
    ticks = [end * i / 4 for i in range(5)]
    lines = "".join(f"M{x(tick)},{top}V{bottom}" for tick in ticks)
    texts = "".join(
        f'<text class="soft mid" x="{x(tick)}" y="{bottom + 16}">{tick:.3g}</text>'
        for tick in ticks[::2]
    )
    return f'<path class="grid" d="{lines}"/>{texts}'


@cache
def _square(left: float, base: float, size: float) -> str:
    lines = "".join(f"M{left},{base - size * i / 4}h{size}" for i in range(5))
    lines += "".join(f"M{left + size * i / 4},{base}v-{size}" for i in range(5))
    texts = "".join(
        f'<text class="soft end" x="{left - 6}" y="{base - size * i / 2 + 4}">{i / 2:g}</text>'
        for i in range(3)
    )
    return f'<path class="grid" d="{lines}"/>{texts}'


@cache
def _numbers(left: float, y: float, size: float) -> str:
    return "".join(
        f'<text class="soft mid" x="{left + size * i / 2}" y="{y}">{i / 2:g}</text>'
        for i in range(3)
    )


def _wilson(share: float, n: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share of n trials."""
    z2 = 1.959963984540054**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = (z2 * (share * (1 - share) / n + z2 / (4 * n * n))) ** 0.5 / (1 + z2 / n)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _nice(value: float) -> float:
    """The next of 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4 ... above a value."""
    scale = 1.0
    while value > scale:
        scale *= 10
    while value <= scale / 10:
        scale /= 10
    return next(scale * step for step in (0.2, 0.4, 0.6, 0.8, 1.0) if value <= scale * step)
