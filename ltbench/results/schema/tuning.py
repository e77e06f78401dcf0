"""How hyperparameters were chosen."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ltbench.results.schema.constraints import Count, Number, Percent, Text, one_of
from ltbench.results.schema.part import Part
from ltbench.results.schema.setting import RecordedProtocol


class SearchRange(Part):
    """Where a hyperparameter was searched."""

    kind: Annotated[Literal["uniform", "log_uniform", "choice"], one_of("uniform", "log_uniform", "choice")]
    """How values were drawn."""
    low: Number | None = None
    """Lower end; absent for a choice."""
    high: Number | None = None
    """Upper end; absent for a choice."""
    values: list[Any] | None = None
    """What was chosen from; absent for a range."""


class Sampler(Part):
    """An algorithm that proposes values."""

    name: Text
    """Its name."""
    seed: Count
    """Its seed."""
    optuna: Text
    """Version of Optuna."""


class Budget(Part):
    """A number of trials and the settings of each."""

    trials: Count
    """Number of trials."""
    protocol: RecordedProtocol
    """Settings of each trial."""


class Validation(Part):
    """The images that trials were judged by."""

    source: Annotated[Literal["held out", "own"], one_of("held out", "own")]
    """Held out of the training images, or the dataset's own validation part."""
    counts: list[Count]
    """Images of each class, shape (C,)."""
    sha256: Text
    """Hash of their positions, and of what a validation part of a user's own holds."""


class Trial(Part):
    """One trial."""

    values: dict[str, Any]
    """``method.hyperparameter`` -> value."""
    score: Percent | None
    """Mean accuracy over classes on the validation images, in percent; null for values that a method refused."""
    status: Annotated[Literal["completed", "diverged", "refused"], one_of("completed", "diverged", "refused")]
    """How it ended."""


class Tuning(Part):
    """How hyperparameters were chosen."""

    expression: Text
    """What was tuned."""
    space: dict[str, SearchRange]
    """``method.hyperparameter`` -> where it was searched."""
    sampler: Sampler
    """What proposed the values."""
    budget: Budget
    """What the search might spend."""
    validation: Validation
    """What trials were judged by."""
    trials: list[Trial]
    """All trials, in their order."""
    chosen: Count | None
    """Position in ``trials`` of the values that the run has; null where there were none."""
