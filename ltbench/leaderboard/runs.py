"""Records as a notebook has them: a table that shows itself, pictures, and what lies beside each record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ltbench.errors import UserError
from ltbench.results.records import Stored
from ltbench.results.schema import Record

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from ltbench.leaderboard.rows import Table
    from ltbench.results.logits import Logits
    from ltbench.results.predictions import Predictions


@dataclass(frozen=True, repr=False)
class Runs:
    """Hold what :func:`ltbench.run` did or :func:`ltbench.load` read; a notebook shows it as tables.

    Args:
        stored: One record a run with its file; of :func:`ltbench.run` in the order of methods within seeds within datasets.
    """

    stored: tuple[Stored, ...]

    def __repr__(self) -> str:
        """Return one line, which is what a terminal shows of a call: the records are thousands."""
        states = Counter(record.status for record in self.records)
        return f"Runs({', '.join(f'{count} {status}' for status, count in sorted(states.items()))})"

    def _repr_html_(self) -> str | None:
        """Return the tables of ``ltbench leaderboard``; None, which shows the line, where records contradict each other."""
        from ltbench.leaderboard.tables import render

        try:
            return render(self._tables(), "html")
        except UserError:
            return None

    @property
    def records(self) -> list[Record]:
        """The records, as their files hold them; diverged and failed runs have one too."""
        return [item.record for item in self.stored]

    def table(self) -> pandas.DataFrame:
        """Return the rows of ``ltbench leaderboard --format csv``: a line for each expression, with means over seeds.

        Raises:
            UserError: If pandas is not installed, or a method's records contradict each other.
        """
        import io

        from ltbench.leaderboard.export import to_csv

        frame: pandas.DataFrame = _pandas().read_csv(io.StringIO(to_csv(self._tables())))
        return frame

    def compare(self, first: str, second: str) -> pandas.DataFrame:
        """Return what ``ltbench compare`` prints: how much the second method is above the first, paired over their seeds.

        Args:
            first: An expression, as the tables show it.
            second: Likewise.

        Returns:
            A line for each split of the classes and set of equal terms, with the means in percent, their difference, its 95 %
            interval and p-value; no interval and no p-value below three seeds.

        Raises:
            UserError: If pandas is not installed, a method is not there, or the two have no seed in common.
        """
        from ltbench.leaderboard.comparison import compare
        from ltbench.leaderboard.opponents import find, match, opponents

        known, problems = opponents(self.stored)
        if problems:
            raise UserError("; ".join(map(str, problems)))
        lines = []
        for one in (compare(*pair) for pair in match(find(first, known), find(second, known))):
            for found in one.differences:
                low, high = found.interval or (None, None)
                lines.append({"split": found.split, first: found.first, second: found.second, "difference": found.value,
                              "low": low, "high": high, "p": found.p, "seeds": len(one.runs), "terms": one.terms})
        frame: pandas.DataFrame = _pandas().DataFrame(lines)
        return frame

    def plot(self, kind: str = "accuracy") -> Figure:
        """Draw the rows, one panel a table, which a notebook shows and ``savefig`` writes.

        Args:
            kind: ``accuracy``, of all, many, medium and few classes with their intervals, or ``tradeoff``, of many against few.

        Raises:
            UserError: For another kind, or if a method's records contradict each other.
        """
        from ltbench.leaderboard.picture import draw

        return draw(self._tables(), kind)

    def predictions(self) -> list[Predictions | None]:
        """Return the predictions beside each record: ``ids``, ``labels``, ``argmax``, ``confidence``, ``log_prob``, shape (M,).

        Returns:
            None for a run that did not complete.

        Raises:
            UserError: If a file is missing or damaged.
        """
        from ltbench.results.records import load_predictions

        return [load_predictions(item.path, item.record) for item in self.stored]

    def logits(self) -> list[Logits | None]:
        """Return the logits beside each record, in the order of its predictions, float32, shape (M, C).

        Returns:
            None for a run without ``--keep predictions=logits``.

        Raises:
            UserError: If a file is missing or damaged.
        """
        from ltbench.results.logits import load_logits

        return [load_logits(item.path, item.record) for item in self.stored]

    def _tables(self) -> list[Table]:
        from ltbench.leaderboard.collect import collect

        tables, problems = collect(self.stored)
        if problems:
            raise UserError("; ".join(map(str, problems)))
        return tables


def _pandas() -> Any:
    """Return the library.

    Raises:
        UserError: If it is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise UserError("a table needs pandas: pip install 'ltbench[table]'") from None
    return pandas
