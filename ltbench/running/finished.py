"""Whether a run has been made already, with all beside its record that is asked for now."""

from __future__ import annotations

from pathlib import Path

from ltbench.errors import UserError
from ltbench.planning.plan import RunPlan
from ltbench.planning.request import KEEP, How
from ltbench.results import records
from ltbench.results.schema import Record


def finished(plan: RunPlan, split: str, how: How) -> Record | None:
    """Return a plan's record if it was run to its end with the same code and settings.

    One that is damaged is none, nor is one whose figures do not follow from the predictions beside it. Predictions that somebody
    took away to save room cost no training: tables count such records in a warning.

    Args:
        split: Hash of the images that it is to be trained on.
        how: Where its record would lie, and what is to be kept beside it.
    """
    path = how.out / f"{plan.file_name}.json"
    if not path.is_file():
        return None
    try:
        record = records.read(path)
        if (record.key, record.split.hash) != (plan.key, split):
            return None
        made = record.status == "diverged" or _holds(record, how) and _follows(record, path)
    except UserError:
        return None  # damaged: it is run again
    return record if made else None


def _holds(record: Record, how: How) -> bool:
    """Tell whether a run completed and what is asked for lies beside its record."""
    statistics, logits = record.geometry, record.logits
    held = KEEP.index(statistics.holds) if statistics and (how.out / statistics.file).is_file() else 0
    spoken = logits is not None and (how.out / logits.file).is_file()
    return record.status == "completed" and held >= KEEP.index(how.keep) and (spoken or not how.logits)


def _follows(record: Record, path: Path) -> bool:
    """Tell whether every figure follows from the predictions beside the record, where they are: else it was edited."""
    if records.without_predictions(records.Stored(path, record)):
        return True
    predictions = records.load_predictions(path, record)
    return predictions is not None and not records.verify(record, predictions)
