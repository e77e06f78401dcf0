"""The pictures of tables for a notebook: accuracy by group of classes, and many against few."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from ltbench.errors import UserError
from ltbench.leaderboard.rows import Table
from ltbench.leaderboard.tables import headings
from ltbench.results.interval import Estimate
from ltbench.results.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("accuracy", "tradeoff")
# By name, as the page has them.
_GROUPS = (("all", "black"), ("many", "#4c72b0"), ("medium", "#dd8452"), ("few", "#55a868"))
_MARKS, _COLORS = "os^Dv", 10  # a row's: colors repeat after ten, with another mark
_BARS: dict[str, Any] = {"markersize": 4, "capsize": 2, "linewidth": 0.8}
_ROW, _MARGIN, _WIDTH = 0.34, 1.2, 7.0  # inches: of a row, above and below, of a panel


class Picture(Figure):
    """Show itself in a notebook, whether or not its drawing was set up."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def draw(tables: Sequence[Table], kind: str) -> Figure:
    """Draw tables, a panel each, one below the other.

    Args:
        kind: One of :data:`KINDS`.

    Raises:
        UserError: For another kind, or if there is no figure to draw.
    """
    if kind not in KINDS:
        raise UserError(f"kind must be {' or '.join(KINDS)}, got {kind!r}")
    drawn = [(table, str(heading)) for table, heading in zip(tables, headings(tables), strict=True)
             if any(row.figure("accuracy.all").mean is not None for row in table.rows)]
    if not drawn:
        raise UserError("there must be a run that completed to draw, got none")
    heights = [_MARGIN + (_ROW * len(table.rows) if kind == "accuracy" else 4) for table, _ in drawn]
    figure = Picture(figsize=(_WIDTH, sum(heights)), layout="constrained")
    panels = figure.subplots(len(drawn), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (table, heading) in zip(panels, drawn, strict=True):
        axes.set_title(heading, fontsize=8, wrap=True)
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
        (_accuracy if kind == "accuracy" else _tradeoff)(axes, table)
    return figure


def _accuracy(axes: Axes, table: Table) -> None:
    """Draw a line for each row, the best on top, with a mark for each group of classes and its 95 % interval."""
    for place, (group, color) in enumerate(_GROUPS):
        points = [(row.figure(f"accuracy.{group}"), number) for number, row in enumerate(table.rows)]
        shown = [(value, number + 0.16 * (place - 1.5)) for value, number in points if value.mean is not None]
        if shown:
            axes.errorbar([value.mean or 0.0 for value, _ in shown], [height for _, height in shown],
                          xerr=list(zip(*(_interval(value) for value, _ in shown), strict=True)),
                          fmt="o", color=color, label=group, clip_on=False, **_BARS)
    axes.set_yticks(range(len(table.rows)), [printable(row.method) for row in table.rows], fontsize=8)
    axes.set_ylim(len(table.rows) - 0.5, -0.5)
    axes.set_xlabel("accuracy in %, mean over runs and its 95 % interval where there is one", fontsize=8)
    _legend(axes)


def _tradeoff(axes: Axes, table: Table) -> None:
    """Draw a point for each row, many against few."""
    for place, row in enumerate(table.rows):
        many, few = row.figure("accuracy.many"), row.figure("accuracy.few")
        if many.mean is not None and few.mean is not None:
            axes.errorbar(many.mean, few.mean, xerr=_column(many), yerr=_column(few), label=printable(row.method),
                          fmt=_MARKS[place // _COLORS % len(_MARKS)], **_BARS)
    axes.set_xlabel("accuracy on many-shot classes in %", fontsize=8)
    axes.set_ylabel("accuracy on few-shot classes in %", fontsize=8)
    _legend(axes)


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))


def _interval(value: Estimate) -> tuple[float, float]:
    """Return how far an interval reaches below and above its mean."""
    mean = value.mean or 0.0
    low, high = value.interval or (mean, mean)
    return mean - low, high - mean


def _column(value: Estimate) -> list[list[float]]:
    return [[side] for side in _interval(value)]
