"""A board: what is compared with what, written down before the runs in ``board.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltbench.errors import UserError
from ltbench.planning.request import How, Request, Terms, What, parse_splits
from ltbench.terms.shots import USUAL

FILE = "board.toml"
RESULTS = "results"
_PLAIN = {"track": "common", "protocol": None, "paper": None, "precision": "fp32", "split_seeds": [0],
          "init": None, "tune": None, "splits": list(USUAL)}


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
        return self.folder.name

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
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"board must be a folder with {FILE}, got {str(folder)!r}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{str(file)!r} cannot be read: {error}") from None
    where = repr(str(file))
    _known(content, {"title", "tolerance", "matrix"}, where)
    title, tolerance, matrices = content.get("title"), content.get("tolerance"), content.get("matrix")
    if not (isinstance(title, str) and title):
        raise UserError(f"title of {where} must be a text, got {title!r}")
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or not 0 < tolerance <= 100:
        raise UserError(f"tolerance of {where} must be a number of points above 0, got {tolerance!r}")
    if not (isinstance(matrices, list) and matrices and all(isinstance(matrix, dict) for matrix in matrices)):
        raise UserError(f"{where} must hold at least one [[matrix]]")
    return Board(folder, title, float(tolerance),
                 tuple(_request(matrix, folder / RESULTS, f"matrix {number} of {where}")
                       for number, matrix in enumerate(matrices, start=1)))


def find_boards(root: Path) -> list[Board]:
    """Read every board of a folder, by name.

    Raises:
        UserError: See :func:`read_board`.
    """
    return [read_board(file.parent) for file in sorted(root.glob(f"*/{FILE}"))]


def _request(content: Mapping[str, Any], out: Path, where: str) -> Request:
    _known(content, {"datasets", "methods", "seeds", *_PLAIN}, where)
    values = {**_PLAIN, **content}
    for name, kind in (("datasets", str), ("methods", str), ("seeds", int), ("split_seeds", int), ("splits", int)):
        value = values.get(name)
        if not (isinstance(value, list) and value and all(type(item) is kind for item in value)):
            raise UserError(f"{name} of {where} must be a list of {'texts' if kind is str else 'whole numbers'}, got {value!r}")
    for name in ("track", "protocol", "paper", "precision", "init", "tune"):
        if not isinstance(values[name], str) and not (_PLAIN[name] is None and values[name] is None):
            raise UserError(f"{name} of {where} must be a text, got {values[name]!r}")
    what = What(tuple(values["methods"]), tuple(values["datasets"]), seeds=tuple(values["seeds"]),
                split_seeds=tuple(values["split_seeds"]))
    terms = Terms(values["protocol"], values["track"], values["paper"], precision=values["precision"],
                  init=values["init"], tune=values["tune"], splits=parse_splits(values["splits"]))
    return Request(what, terms, How(out=out))


def _known(content: Mapping[str, Any], names: set[str], where: str) -> None:
    for name in content:
        if name not in names:
            raise UserError(f"{where} must hold {', '.join(sorted(names))} alone, got {name!r}")
