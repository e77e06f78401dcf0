"""How much a stage trains."""

from __future__ import annotations

from dataclasses import dataclass

from ltbench.terms.protocol import Protocol
from ltbench.training.optimization import terms


@dataclass(frozen=True)
class Budget:
    """Say how much a stage trains.

    Args:
        draws: Samples drawn an epoch.
    """

    epochs: int
    draws: int
    batch_size: int

    @property
    def steps(self) -> int:
        """Optimizer steps an epoch: incomplete batches are left out."""
        return self.draws // self.batch_size


def budget_of(protocol: Protocol, stage: int, images: int) -> Budget:
    """Return how much a stage trains.

    A later stage draws ``stage2_samples``, or ``stage2_draws`` times the number of training images; an "epoch" of it is one
    pass's worth of draws.
    """
    batch_size = terms(protocol, stage).batch_size
    if stage == 1:
        return Budget(protocol.epochs, images, batch_size)
    draws = protocol.stage2_draws * images if protocol.stage2_samples is None else protocol.stage2_samples
    epochs = max(1, round(draws / images))
    return Budget(epochs, round(draws / epochs), batch_size)
