"""Training steps with clipping, for what is learned at the paper's rate of 5."""

from __future__ import annotations

import numpy as np
import torch

from ltbench.data.batch import Batch
from ltbench.data.samplers import ClassBalanced
from ltbench.method.context import Bank
from ltbench.training.engine import Engine
from ltbench.training.optimization import Optimization
from tests.support.stages import PROTOCOL


def optimize(engine: Engine, bank: Bank, steps: int, batch_size: int = 16) -> tuple[list[list[int]], list[float]]:
    """Train a stage as the loop does, clipping included; return the batches and the gradients' norms after clipping."""
    optimization = Optimization(engine, PROTOCOL.replace(stage2_schedule="constant"), steps)
    order = ClassBalanced().draw(bank.labels.numpy(), steps * batch_size, np.random.default_rng(0))
    batches = [part.tolist() for part in torch.as_tensor(order).split(batch_size)]
    norms = []
    for step, rows in enumerate(batches):
        optimization.set_rates(step)
        labels = bank.labels[rows]
        loss, _, _ = engine({"main": Batch(None, labels, [(labels, 1.0)], torch.tensor(rows), labels,
                                           embedding=bank.embedding[rows])})
        optimization.optimizer.zero_grad()
        loss.backward()
        optimization.clip()
        learned = [p.grad for p in engine.head.parameters() if p.grad is not None]
        norms.append(float(torch.cat([g.flatten() for g in learned]).norm()))
        optimization.optimizer.step()
    return batches, norms
