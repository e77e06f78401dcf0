"""A board: what is compared with what, written down before the runs in ``board.toml``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ltbench.errors import UserError
from ltbench.planning.experiment import read_experiment, requests_of
from ltbench.planning.request import How, Request

FILE = "board.toml"
RESULTS = "results"


@dataclass(frozen=True)
class Board:
    """Hold a board's description.

    Args:
        tolerance: Points within which a difference from a printed figure, and the half width of the interval, count as
            reproduced. It is set before the runs.
    """

    folder: Path
    title: str
    tolerance: float
    requests: tuple[Request, ...]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def results(self) -> Path:
        """Where its records lie."""
        return self.folder / RESULTS


def read_board(folder: Path) -> Board:
    """Read ``board.toml`` of a folder.

    Raises:
        UserError: If it is not there or says something that no board says, naming file and field.
    """
    file = folder / FILE
    where = repr(str(file))
    if not file.is_file():
        raise UserError(f"board must be a folder with {FILE}, got {str(folder)!r}: No such file or directory")
    content = read_experiment(file)
    for name in ("title", "tolerance"):
        if getattr(content, name) is None:
            raise UserError(f"{where} must hold {name!r}")
    if content.out is not None:
        raise UserError(f"out of {where} must be left out: a board's records are in its folder {RESULTS!r}")
    assert content.title is not None and content.tolerance is not None
    return Board(folder, content.title, content.tolerance, tuple(requests_of(content, where, How(out=folder / RESULTS))))


def find_boards(root: Path) -> list[Board]:
    """Read every board of a folder, by name.

    Raises:
        UserError: See :func:`read_board`.
    """
    return [read_board(file.parent) for file in sorted(root.glob(f"*/{FILE}"))]

