"""What observers are told about a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunInfo:
    """Name one run: one expression on one split with one seed.

    Args:
        dataset: Dataset with its ratio, for example ``cifar100-lt@100``.
        name: Of the files that its record is written to, without an ending; no other run has it.
    """

    expression: str
    dataset: str
    seed: int
    number: int = 1
    total: int = 1
    name: str = ""

    def __str__(self) -> str:
        return f"[{self.number}/{self.total}] {self.expression} on {self.dataset}, seed {self.seed}"
