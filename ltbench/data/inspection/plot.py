"""The class-frequency plot: training images of each class, from the largest class to the smallest."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ltbench.data.inspection.statistics import Spread
from ltbench.errors import UserError

FORMATS = ("png", "svg")
# The same bytes for the same counts: no dates, no random ids, no user's style.
_STYLE = {"svg.hashsalt": "ltbench", "svg.fonttype": "none", "font.family": "DejaVu Sans", "font.size": 9.0, "savefig.dpi": 150}
_METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
_GROUPS = (("many", "#4c72b0"), ("medium", "#dd8452"), ("few", "#55a868"))


def check_plot_file(file: Path) -> str:
    """Return the format that a file's name asks for."""
    kind = file.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise UserError(f"--plot must name a file that ends with .{' or .'.join(FORMATS)}, got {str(file)!r}")
    return kind


def draw(shown: Spread, kind: str) -> bytes:
    """Draw the class counts on a logarithmic scale, with the many, medium and few classes shaded."""
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    totals = shown.totals
    falling = np.sort(shown.train)[::-1]
    with matplotlib.style.context(["default", _STYLE]):
        figure = Figure(figsize=(5.4, 3.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        # A step a class: bars would be 8,142 objects.
        axes.stairs(falling, np.arange(len(falling) + 1), baseline=None, color="black", linewidth=1.2)
        start = 0
        for name, color in _GROUPS:
            classes = getattr(totals, name)
            if classes:
                axes.axvspan(start, start + classes, color=color, alpha=0.25, linewidth=0, label=f"{name}: {classes:,} classes")
            start += classes
        axes.set_yscale("log")
        axes.set_xlim(0, len(falling))
        axes.set_ylim(0.8, totals.largest * 1.25)
        axes.set_xlabel("class, by falling count")
        axes.set_ylabel("training images")
        axes.set_title(f"{shown.task}: {totals.images:,} images of {len(falling):,} classes, "
                       f"{totals.largest:,} to {totals.smallest:,}, ratio {shown.ratio:.4g}", fontsize=9)
        axes.legend(frameon=False, fontsize=8)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()
