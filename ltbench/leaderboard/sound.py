"""Which records a table may be made of: those whose figures follow from the predictions beside them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ltbench.errors import UserError
from ltbench.leaderboard.contradictions import one_labeling
from ltbench.results.records import Stored, load_predictions, verify, without_predictions
from ltbench.results.text import printable


def sound(stored: Iterable[Stored]) -> tuple[list[Stored], list[str]]:
    """Leave out the records that do not follow from their predictions; one whose predictions are not there is kept as it stands.

    Records of one split that were tested on other images, or with other labels, are left out too: nobody can say which are true.

    Returns:
        The others, and one line for each that is left out, or for each split whose records are.
    """
    kept: list[Stored] = []
    tested: dict[Path, str] = {}
    problems: list[str] = []
    for item in stored:
        try:
            labels = _tested_on(item)
        except UserError as error:
            problems.append(printable(str(error)))
            continue
        kept.append(item)
        tested |= {} if labels is None else {item.path: labels}
    kept, contradictions = one_labeling(kept, tested)
    return kept, [*problems, *map(str, contradictions)]


def _tested_on(item: Stored) -> str | None:
    """Return the hash of a record's test images and their labels; None where it has no predictions.

    Raises:
        UserError: If the record does not follow from its predictions.
    """
    if item.record.status != "completed" or without_predictions(item):
        return None
    predictions = load_predictions(item.path, item.record)
    if predictions is None:
        return None
    if mismatches := verify(item.record, predictions):
        raise UserError(f"record {item.path}: {mismatches[0]}")
    return predictions.tested_on()
