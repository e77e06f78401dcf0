"""What is wrong with a dataset, one line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

SHOWN = 20  # of one kind: a set on a disk that is not mounted has a million missing files


@dataclass(frozen=True)
class Finding:
    """Hold one problem.

    Args:
        kind: What sort, for programs and for counting.
        line: For people; names the file, the class or the line of a list.
    """

    kind: str
    line: str


def shortened(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield the lines of the first findings of each kind, and how many more there are.

    Args:
        findings: Those of a kind beside each other.
    """
    for kind, group in groupby(findings, key=lambda finding: finding.kind):
        lines = [finding.line for finding in group]
        yield from lines[:SHOWN]
        if len(lines) > SHOWN:
            yield f"... {len(lines) - SHOWN:,} more of {len(lines):,} ({kind}); --json names them all"
