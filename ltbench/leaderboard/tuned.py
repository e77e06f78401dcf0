"""What tables say of tuning: rows whose hyperparameters were chosen stand apart from rows that kept their defaults."""

from __future__ import annotations

from typing import Any

from ltbench.method.search import MOST_TUNED
from ltbench.results.schema import Record


def tuning_terms(record: Record) -> dict[str, Any] | None:
    """Return what all rows of a table of tuned rows share: how much each was tuned, and how; None for a run that was not."""
    tuning = record.tuning
    if tuning is None:
        return None
    validation = tuning.validation
    shared = {**tuning.budget.as_dict(), "sampler": tuning.sampler.name, "validation": validation.source}
    # What is held out differs from split to split; a part of the set's own is one for all.
    return shared | ({"images": validation.sha256} if validation.source == "own" else {})


def tuned_names(record: Record) -> tuple[str, ...]:
    """Return the hyperparameters that trials chose, by ``method.name``."""
    return () if record.tuning is None else tuple(record.tuning.space)


def too_many(names: tuple[str, ...]) -> str | None:
    """Say why a row with these tuned hyperparameters has no rank; None if it may have one."""
    return f"{len(names)} tuned hyperparameters, at most {MOST_TUNED} are ranked" if len(names) > MOST_TUNED else None


def heading(terms: dict[str, Any]) -> str:
    """Say in a table's heading how its rows were tuned."""
    epochs, name = terms["protocol"]["epochs"], terms["protocol"]["name"]
    images = "the set's own validation images" if terms["validation"] == "own" else "held-out training images"
    trials = f"{terms['trials']} trial{'s' if terms['trials'] != 1 else ''}"
    return f"tuned by {trials} of {name} {epochs} epoch{'s' if epochs != 1 else ''} on {images}"
