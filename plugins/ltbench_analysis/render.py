"""Drawings to PNG and SVG by matplotlib, the same bytes for the same drawing: no dates, no random ids, no user's style."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltbench_analysis.drawing import Drawing, Panel, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLE = {
    "svg.hashsalt": "ltbench", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 9.0, "axes.grid": True,
    "axes.axisbelow": True, "grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "legend.fontsize": 7.0, "savefig.dpi": 150,
}
_WIDTH, _HEIGHT = 4.2, 3.6  # of a panel, in inches
_LEGEND = 24  # a longer one would cover the panel
_ROW = 4  # panels side by side
_CROWDED = 12  # series in one panel from which on marks are small


def render(drawing: Drawing, caption: str) -> dict[str, bytes]:
    """Draw a figure with its caption below, and return it as ``png`` and ``svg``."""
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.style.context(["default", _STYLE]):
        columns = min(_ROW, len(drawing.panels))
        rows = -(-len(drawing.panels) // columns)
        width, height = _WIDTH * columns, _HEIGHT * rows
        lines = textwrap.wrap(caption, width=max(60, int(width * 17)))
        below = 0.18 * len(lines) + 0.1
        figure = Figure(figsize=(width, height + below))
        FigureCanvasAgg(figure)
        figure.set_layout_engine("constrained", rect=(0, below / (height + below), 1, height / (height + below)))
        for place, panel in enumerate(drawing.panels, start=1):
            _draw(figure.add_subplot(rows, columns, place), panel, _range(drawing.panels))
        figure.text(0.01, 0.01, "\n".join(lines), ha="left", va="bottom", fontsize=7.5)
        found = {}
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, metadata=metadata)
            found[kind] = buffer.getvalue()
    return found


def _range(panels: Sequence[Panel]) -> tuple[float | None, float | None]:
    """Return the range of all heatmaps of a figure: one color has one meaning in it."""
    values = [value for panel in panels for row in panel.grid for value in row if math.isfinite(value)]
    return (min(values), max(values)) if values else (None, None)


def _draw(axes: Axes, panel: Panel, colors: tuple[float | None, float | None]) -> None:
    axes.set_title(panel.title, fontsize=9)
    axes.set_xlabel(panel.xlabel)
    axes.set_ylabel(panel.ylabel)
    if panel.scale == "log":
        axes.set_xscale("log")
    if panel.grid:
        axes.grid(False)
        image = axes.imshow(panel.grid, aspect="auto", interpolation="nearest", cmap="viridis", vmin=colors[0], vmax=colors[1])
        axes.figure.colorbar(image, ax=axes)
    bars = [series for series in panel.series if series.marks == "bars"]
    for place, series in enumerate(panel.series):
        _add(axes, series, place, len(bars), crowded=len(panel.series) > _CROWDED)
    if panel.bare:
        axes.set_xticks([])
        axes.set_yticks([])
    labels = {series.label for series in panel.series if series.label}
    if labels and len(labels) <= _LEGEND:
        axes.legend()


def _add(axes: Axes, series: Series, place: int, bars: int, *, crowded: bool) -> None:
    color = f"C{place % 10}"
    values = [float("nan") if value is None else value for value in series.y]
    if series.marks == "level":
        axes.axhline(values[0], label=series.label, color=color, linestyle="--" if place % 2 else ":")
    elif series.marks == "bars":
        width = 0.8 / bars
        places = [i + (place - (bars - 1) / 2) * width for i in range(len(values))]
        axes.bar(places, values, width, yerr=series.spread, label=series.label, color=color)
        axes.set_xticks(range(len(values)), [str(name) for name in series.x], rotation=20, ha="right", fontsize=7)
    elif series.marks == "line":
        axes.plot(series.x, values, label=series.label, color=color, marker="o" if len(values) <= 30 else None, markersize=3)
        if series.spread is not None:
            low, high = ([v + sign * s for v, s in zip(values, series.spread, strict=True)] for sign in (-1, 1))
            axes.fill_between(series.x, low, high, color=color, alpha=0.2, linewidth=0)
    else:
        star = series.marks == "stars"
        axes.scatter(series.x, values, s=60 if star else 4 if crowded else 10, marker="*" if star else "o",
                     label=series.label, color="black" if star else color, linewidths=0)
