"""What lies beside the boards and is not measured: printed figures, the papers' claims, and the runs that are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ltbench.leaderboard.asked import FILE as RUNS
from ltbench.leaderboard.asked import Asked, read_asked
from ltbench.leaderboard.claims import FILE as CLAIMS
from ltbench.leaderboard.claims import Claim, read_claims
from ltbench.leaderboard.papers import FILE as PAPERS
from ltbench.leaderboard.papers import Paper, read_papers
from ltbench.leaderboard.reported import Printed, PrintedRow, read_rows

REPORTED = "reported.csv"


@dataclass(frozen=True)
class Given:
    """Hold what boards are shown beside; a board of one's own needs none of it.

    Args:
        rows: All printed rows, whoever ran them.
        claims: Of papers on rows that they ran themselves.
        asked: Runs of boards and of printed rows.
        papers: That methods are from.
    """

    rows: tuple[PrintedRow, ...] = ()
    claims: tuple[Claim, ...] = ()
    asked: tuple[Asked, ...] = ()
    papers: tuple[Paper, ...] = ()

    @cached_property
    def printed(self) -> tuple[Printed, ...]:
        """The rows that papers ran themselves."""
        return tuple(row.claim for row in self.rows if row.claim is not None)


NOTHING_GIVEN = Given()


def read_given(folder: Path, reported: Path | None = None) -> Given:
    """Read what lies in a folder of boards.

    Args:
        reported: A file of printed figures in place of the folder's; claims and runs are then read beside it.

    Raises:
        UserError: If a file cannot be read or is not as it should be.
    """
    file = reported or folder / REPORTED
    rows = read_rows(file) if reported or file.exists() else []
    own = [row.claim for row in rows if row.claim is not None]
    claims = read_claims(file.parent / CLAIMS, own) if rows else []
    return Given(tuple(rows), tuple(claims), tuple(read_asked(file.parent / RUNS)), tuple(read_papers(file.parent / PAPERS)))
