"""The figures that can be made: light descriptions, so that listing them imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from ltbench_analysis.papers import PAPERS


@dataclass(frozen=True)
class FigureSpec:
    """Describe a figure.

    Args:
        name: What the user types, ``paper.number``.
        target: ``module:function`` below :mod:`ltbench_analysis.figures`; it takes runs and returns a drawing.
        shows: One line.
        needs: What the records must hold.
        runs: Commands that make such records, for the printed figure.
        repeatable: False for a measurement of this machine, which comes out otherwise each time.
    """

    name: str
    target: str
    shows: str
    needs: str
    runs: tuple[str, ...]
    repeatable: bool = True

    @property
    def paper(self) -> str:
        """The key of its paper."""
        return self.name.partition(".")[0]

    @property
    def source(self) -> str:
        """Paper and number, as a caption names them."""
        number = self.name.partition(".")[2]
        return f"{PAPERS[self.paper]}, figure {number}" if number else PAPERS[self.paper]
