"""What papers claim: that one row of a table is better than another, and whether measured differences agree.

``leaderboards/claims.toml`` says each claim in words and names the two printed rows, which the paper ran itself; the printed
difference is that of their figures. What counts as agreement is set here, before any run: the 95 % interval of the paired
difference lies above 0. It does not agree where the interval lies below 0, or holds 0 and ends below half of the printed
difference. Everything else, and fewer than three seeds, cannot be decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltbench.errors import UserError
from ltbench.leaderboard.differences import Difference
from ltbench.leaderboard.reported import Printed
from ltbench.leaderboard.toml_file import read_toml
from ltbench.results.accuracy import SPLITS
from ltbench.results.interval import FEWEST_SEEDS

FILE = "claims.toml"
HOLDS, FAILS, OPEN = "holds", "does not hold", "not decidable"
LESS = "less than half of the printed difference"

_FIELDS = {"says", "source", "table", "better", "than", "where", "split", "setting", "than_setting", "than_table", "common"}
_LISTS = ("where", "common")
_NEEDED = ("says", "source", "table", "better", "than", "where")


@dataclass(frozen=True)
class Claim:
    """Hold a claim on one dataset at one ratio.

    Args:
        says: In words.
        split: ``all``, ``many``, ``medium`` or ``few``.
        better: The printed row that is better.
        worse: The other.
        difference: Printed, in points, above 0.
        common: Expressions of the two rows that ask the same in the common track; None where none does.
    """

    says: str
    split: str
    better: Printed
    worse: Printed
    difference: float
    common: tuple[str, str] | None


def read_claims(file: Path, printed: Sequence[Printed]) -> list[Claim]:
    """Read claims, each dataset and ratio a claim of its own; nothing where there is no such file.

    Raises:
        UserError: If it cannot be read, or a claim is not as it should be or not what is printed, naming it.
    """
    content = read_toml(file)
    if content is None:
        return []
    entries = content.get("claim", [])
    if set(content) - {"claim"} or not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
        raise UserError(f"{str(file)!r} must hold [[claim]] alone")
    found: list[Claim] = []
    for number, entry in enumerate(entries, start=1):
        where = f"claim {number} of {str(file)!r}"
        _check(entry, where)
        found += [_claim(entry, place, printed, where) for place in entry["where"]]
    return found


def decide(claim: Claim, found: Difference, runs: int) -> tuple[str, str]:
    """Return the verdict on a claim, and what else there is to say.

    Args:
        found: Better minus worse.
        runs: How many seeds it is of.
    """
    if runs < FEWEST_SEEDS or found.interval is None:
        return OPEN, f"{runs} seed{'s' if runs != 1 else ''}, {FEWEST_SEEDS} are needed"
    low, high = found.interval
    less = LESS if high < claim.difference / 2 else ""
    if low > 0:
        return HOLDS, less
    if high < 0:
        return FAILS, "the other way round"
    return (FAILS, less) if less else (OPEN, "the interval holds 0")


def _check(entry: Mapping[str, Any], where: str) -> None:
    if unknown := sorted(entry.keys() - _FIELDS):
        raise UserError(f"{where} must hold {', '.join(sorted(_FIELDS))} alone, got {unknown[0]!r}")
    for name in [name for name in sorted(_FIELDS) if name in entry or name in _NEEDED]:
        value, listed = entry.get(name), name in _LISTS
        texts = [value] if not listed else value if isinstance(value, list) else []
        if not (texts and all(isinstance(text, str) and text for text in texts)):
            raise UserError(f"{name} of {where} must be a {'list of texts' if listed else 'text'}, got {value!r}")


def _claim(entry: Mapping[str, Any], place: str, printed: Sequence[Printed], where: str) -> Claim:
    dataset, _, text = place.partition("@")
    try:
        ratio = float(text) if text else None
    except ValueError:
        raise UserError(f"where of {where} must be datasets with or without @ratio, got {place!r}") from None
    split, common = entry.get("split", "all"), entry.get("common")
    if split not in SPLITS:
        raise UserError(f"split of {where} must be one of {', '.join(SPLITS)}, got {split!r}")
    if common is not None and len(common) != 2:
        raise UserError(f"common of {where} must be two expressions, got {common!r}")
    rows = [row for row in printed if (row.source, row.dataset, row.imbalance_ratio) == (entry["source"], dataset, ratio)]
    better = _find(rows, entry["table"], entry["better"], entry.get("setting"), f"{where} at {place}")
    worse = _find(rows, entry.get("than_table", entry["table"]), entry["than"], entry.get("than_setting", entry.get("setting")),
                  f"{where} at {place}")
    if split not in better.accuracy or split not in worse.accuracy:
        raise UserError(f"{where} at {place} must be of a split that both rows print, got {split!r}")
    difference = round(better.accuracy[split] - worse.accuracy[split], 2)
    if difference <= 0:
        raise UserError(f"{where} at {place} must be what is printed, got {difference:+g} points from {worse.method!r} to "
                        f"{better.method!r}")
    return Claim(entry["says"], split, better, worse, difference, None if common is None else (common[0], common[1]))


def _find(rows: Iterable[Printed], table: str, method: str, setting: str | None, where: str) -> Printed:
    found = [row for row in rows if (row.table, row.method) == (table, method) and setting in (None, row.setting)]
    if len(found) != 1:
        raise UserError(f"{where} must name one printed row that the paper ran itself, got {len(found)} for {method!r} in table "
                        f"{table}{'' if setting is None else f' ({setting})'}")
    return found[0]
