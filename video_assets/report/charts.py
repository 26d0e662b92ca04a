"""Plots as SVG: bars of classes and histograms.

Written by hand, because a plotting library would cost every commit a second of import, and its files contain its
version and the time of drawing, while a card must be the same bytes for the same dataset. Colours are style classes:
those of the page (light and dark), or for a picture on its own those of `PICTURE_STYLE`. Every text goes through
`Markup.format`, which escapes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from video_assets.domain.text import counted
from video_assets.report.escape import shortened, visible

_WIDTH_PX = 720
_BAR_PX = 22
_LABEL_PX = 190
_VALUE_PX = 110
_HISTOGRAM_PX = 180
MAX_BARS = 40

PICTURE_STYLE = Markup(
    "<style>text{font:13px system-ui,sans-serif;fill:#1c2330}.muted{fill:#5b6575}.small{font-size:11px}"
    ".paper{fill:#fff}.grid{stroke:#d5dae2}.target{stroke:#1c2330;stroke-dasharray:4 3}"
    ".split-0{fill:#3565c8}.split-1{fill:#e08a1e}.split-2{fill:#1f9482}.bar{fill:#3565c8}</style>"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart: a name, and its parts in the order of the legend."""

    label: str
    parts: Sequence[int]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts between edges: bin i is [edges[i], edges[i + 1]); the last bin also counts all values above it."""

    edges: Sequence[float]
    counts: Sequence[int]
    unit: str
    has_more: bool = False

    @property
    def total(self) -> int:
        """Return how many values were counted."""
        return sum(self.counts)

    def sentence(self) -> str:
        """Return the histogram in words, for people who cannot see the plot."""
        peak = max(range(len(self.counts)), key=lambda index: self.counts[index])
        return (
            f"{counted(self.total, 'clip')} from {_number(self.edges[0])} to {_number(self.edges[-1])} {self.unit}"
            f"{' and more' if self.has_more else ''}; most, {self.counts[peak]}, between "
            f"{_number(self.edges[peak])} and {_number(self.edges[peak + 1])} {self.unit}"
        )


def bar_chart(bars: Sequence[Bar], legend: Sequence[str], title: str) -> Markup:
    """Return stacked bars, one per row, with their numbers. At most `MAX_BARS` are drawn; the others are counted."""
    shown = bars[:MAX_BARS]
    longest = max((sum(bar.parts) for bar in shown), default=0) or 1
    rows = [
        _bar_row(bar, row, [part / longest for part in bar.parts], " + ".join(map(str, bar.parts)))
        for row, bar in enumerate(shown)
    ]
    return _bars_picture(rows, legend, title, len(bars) - len(shown))


def share_chart(bars: Sequence[Bar], legend: Sequence[str], targets: Sequence[float], title: str) -> Markup:
    """Return bars as long as the picture, divided into their parts, with a dashed line where the parts should end.

    Args:
        bars: The rows.
        legend: Names of the parts.
        targets: The wanted share of each part, in the order of the legend, together 1.
        title: What is shown.
    """
    shown = bars[:MAX_BARS]
    rows: list[Markup] = []
    for row, bar in enumerate(shown):
        total = sum(bar.parts) or 1
        shares = " : ".join(f"{part / total:.0%}" for part in bar.parts)
        rows.append(_bar_row(bar, row, [part / total for part in bar.parts], shares))
    room, at = _WIDTH_PX - _LABEL_PX - _VALUE_PX, 0.0
    for target in targets[:-1]:
        at += target
        x = _LABEL_PX + at * room
        line = Markup('<line class="target" x1="{0:.1f}" x2="{0:.1f}" y1="28" y2="{1}"/>')
        rows.append(line.format(x, 32 + len(shown) * _BAR_PX))
    return _bars_picture(rows, [*legend, "dashed: target"], title, len(bars) - len(shown))


def _bar_row(bar: Bar, row: int, fractions: Sequence[float], value: str) -> Markup:
    y, room = 32 + row * _BAR_PX, _WIDTH_PX - _LABEL_PX - _VALUE_PX
    name = visible(bar.label)
    parts = [
        Markup('<text x="{}" y="{}" text-anchor="end"><title>{}</title>{}</text>').format(
            _LABEL_PX - 8, y + 15, name, shortened(name, 24)
        )
    ]
    x = float(_LABEL_PX)
    for index, fraction in enumerate(fractions):
        width = fraction * room
        if width > 0:
            parts.append(
                Markup('<rect class="split-{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>').format(
                    index, x, y + 3, max(width, 1.0), _BAR_PX - 6
                )
            )
        x += width
    parts.append(Markup('<text class="muted" x="{:.1f}" y="{}">{}</text>').format(x + 6, y + 15, value))
    return Markup("").join(parts)


def _bars_picture(rows: Sequence[Markup], legend: Sequence[str], title: str, num_left_out: int) -> Markup:
    num_rows = sum(1 for row in rows if "<text" in row)
    height = 40 + num_rows * _BAR_PX + (20 if num_left_out else 0)
    parts = [_legend(legend), *rows]
    if num_left_out:
        text = f"and {num_left_out} more"
        parts.append(Markup('<text class="muted" x="{}" y="{}">{}</text>').format(_LABEL_PX, height - 8, text))
    return _svg(Markup("").join(parts), _WIDTH_PX, height, title)


def _legend(names: Sequence[str]) -> Markup:
    parts: list[Markup] = []
    x = _LABEL_PX
    for index, name in enumerate(names):
        if not name.startswith("dashed"):
            parts.append(Markup('<rect class="split-{}" x="{}" y="8" width="12" height="12"/>').format(index, x))
        parts.append(Markup('<text class="muted" x="{}" y="19">{}</text>').format(x + 17, name))
        x += 40 + 8 * len(name)
    return Markup("").join(parts)


def histogram_chart(histogram: Histogram, title: str) -> Markup:
    """Return upright bars over an axis with units, each with its count."""
    left, base, room = 10, _HISTOGRAM_PX + 24, _WIDTH_PX - 20
    step, highest = room / max(1, len(histogram.counts)), max(histogram.counts, default=0) or 1
    parts = [Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(left, _WIDTH_PX - 10, base, base)]
    for index, count in enumerate(histogram.counts):
        x, height = left + index * step, count / highest * _HISTOGRAM_PX
        if count:
            parts.append(
                Markup('<rect class="bar" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                    x + 1, base - height, step - 2, height
                )
            )
            parts.append(
                Markup('<text class="muted small" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
                    x + step / 2, base - height - 5, count
                )
            )
    for index, edge in enumerate(histogram.edges):
        is_last = index == len(histogram.edges) - 1
        anchor = "start" if index == 0 else "end" if is_last else "middle"
        text = f"{_number(edge)}{'+' if is_last and histogram.has_more else ''}"
        parts.append(
            Markup('<text class="muted small" x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(
                left + index * step, base + 16, anchor, text
            )
        )
    unit = Markup('<text class="muted" x="{}" y="{}" text-anchor="middle">{}</text>')
    parts.append(unit.format(_WIDTH_PX // 2, base + 36, histogram.unit))
    return _svg(Markup("").join(parts), _WIDTH_PX, base + 46, title)


def _number(value: float) -> str:
    return f"{value:.4g}"


def _svg(body: Markup, width: int, height: int, title: str) -> Markup:
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{}" viewBox="0 0 {} {}" width="{}" '
        'height="{}"><title>{}</title>{}</svg>'
    ).format(visible(title), width, height, width, height, visible(title), body)


def as_picture(svg: Markup) -> Markup:
    """Return the same plot on white paper with its own colours, for use outside of a page."""
    paper = Markup('<rect class="paper" width="100%" height="100%"/>')
    return svg.replace(Markup("<title>"), PICTURE_STYLE + paper + Markup("<title>"), 1)


def nice_histogram(values: Sequence[float], unit: str, max_bins: int = 14) -> Histogram | None:
    """Return a histogram whose edges are round numbers; None without values.

    The upper hundredth of the values, if they are far off, is counted in the last bin.

    >>> nice_histogram([1.0, 2.5, 2.6, 4.0], "s", max_bins=4)
    Histogram(edges=[1.0, 2.0, 3.0, 4.0, 5.0], counts=[1, 2, 0, 1], unit='s', has_more=False)
    """
    import numpy as np

    if not len(values):
        return None
    numbers = np.asarray(values, np.float64)
    low, high, top = float(numbers.min()), float(np.quantile(numbers, 0.99)), float(numbers.max())
    high = top if top <= low + 2 * (high - low) else high
    step = _nice_step((high - low) / max_bins, at_least=max(abs(high) / 100, 1e-3))
    first = int(np.floor(low / step + 1e-9))
    num_bins = max(1, int(np.floor(high / step + 1e-9)) - first + 1)
    edges = [round((first + index) * step, 9) for index in range(num_bins + 1)]
    bins = np.clip(np.floor(numbers / step + 1e-9).astype(np.int64) - first, 0, num_bins - 1)
    counts = np.bincount(bins, minlength=num_bins).tolist()
    return Histogram(edges, counts, unit, has_more=bool(top >= edges[-1]))


def _nice_step(step: float, at_least: float) -> float:
    """Return 1, 2 or 5 times a power of ten, not less than the step.

    >>> _nice_step(0.3, 0.001)
    0.5
    """
    import math

    wanted = max(step, at_least)
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= wanted * (1 - 1e-9))


def class_bars(counts: Mapping[str, Mapping[str, int]], splits: Sequence[str]) -> list[Bar]:
    """Return one bar per class, in the order given, with its clips in each split."""
    return [Bar(label, [int(row.get(split, 0)) for split in splits]) for label, row in counts.items()]
