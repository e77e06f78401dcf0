"""What a run keeps of its last layer: enough for figures on norms, angles and collapse, and little enough to share.

Names of the tensors, for each stage k that trains or fits anything:

- ``stage{k}.class_means`` (C, d), ``stage{k}.class_variance`` (C,) and ``stage{k}.class_counts`` (C,): of the features that the
  classifier reads, over the plain training images. The variance is the trace of the covariance about the mean, divided by n.
- ``stage{k}.head.<name>`` and ``stage{k}.methods.<method>.<name>``: parameters and buffers of at most two dimensions; of methods
  those with at most 32 rows for each class, which leaves out queues and memories of images.

With ``features``, of the last stage: ``train.features`` (N, d), ``train.labels`` (N,), the same of ``test``, and
``train.<name>`` and ``test.<name>`` for what its head gives beside.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from ltbench.data.loader import evaluation_batches
from ltbench.data.task_data import TaskData
from ltbench.data.view import plain_view
from ltbench.method.context import Bank
from ltbench.method.values import Output
from ltbench.registry.catalog import Registered
from ltbench.registry.specs import MetricSpec
from ltbench.system.mapped import row_blocks
from ltbench.training.distributed import interleave
from ltbench.training.embedding import Embedder
from ltbench.training.engine import Engine
from ltbench.training.kept_images import KeptTestImages

_BATCH = 1024
_ROWS = 512  # of a chunk that are in float64 at once
_KEPT_ROWS = 32  # of a method's tensor for each class
_PER_CLASS = 4  # features of a chunk of statistics for each class: every chunk costs passes over (C, d)


def class_statistics(chunks: Iterable[tuple[Tensor, Tensor]], num_classes: int) -> dict[str, Tensor]:
    """Return counts, means and variances of each class, in one pass over the data and in float64 within.

    Args:
        chunks: Features (B, d) and labels (B,).
        num_classes: C.

    Returns:
        ``class_counts`` (C,) int64, ``class_means`` (C, d) and ``class_variance`` (C,) float32; zeros for an absent class.
    """
    counts = torch.zeros(num_classes, dtype=torch.float64)
    means: Tensor | None = None
    spread = torch.zeros(num_classes, dtype=torch.float64)
    for features, labels in chunks:
        # On the CPU: index_add_ adds in no fixed order elsewhere, and equal runs should keep equal figures.
        values, where = features.detach().cpu(), labels.cpu()
        if means is None:
            means = torch.zeros(num_classes, values.shape[1], dtype=torch.float64)
        new = torch.bincount(where, minlength=num_classes).double()
        means_new = torch.zeros_like(means)
        for part, classes in row_blocks(values, where, _ROWS):
            means_new.index_add_(0, classes, part.double())
        means_new /= new.clamp_min(1)[:, None]
        within = torch.zeros_like(spread)
        for part, classes in row_blocks(values, where, _ROWS):
            within.index_add_(0, classes, (part.double() - means_new[classes]).square_().sum(dim=1))
        # Chan's update: differences of large sums of squares would cancel where features lie far from the origin.
        total = counts + new
        share = new / total.clamp_min(1)
        shift = means_new.sub_(means)
        spread += within + shift.square().sum(dim=1) * counts * share
        means += shift.mul_(share[:, None])
        counts = total
    if means is None:
        raise ValueError("statistics need at least one chunk of features, got none")
    return {"class_counts": counts.long(), "class_means": means.float(), "class_variance": (spread / counts.clamp_min(1)).float()}


def stage_tensors(engine: Engine, bank: Bank, stage: int) -> dict[str, Tensor]:
    """Return what is kept of a finished stage, see the module.

    Args:
        engine: Of the stage.
        bank: Embeddings of the plain training images under its backbone.
        stage: From 1.
    """
    classes = engine.ctx.facts.num_classes
    kept = class_statistics(_joined(_outputs(engine, bank), _PER_CLASS * classes), classes)
    kept |= {f"head.{name}": value for name, value in engine.head.state_dict().items() if value.dim() <= 2}
    kept |= {f"methods.{name}": value for name, value in engine.methods.state_dict().items()
             if value.dim() == 0 or value.dim() <= 2 and len(value) <= _KEPT_ROWS * classes}
    return {f"stage{stage}.{name}": value.detach().cpu() for name, value in kept.items()}


def split_features(engine: Engine, split: str, bank: Bank) -> dict[str, Tensor]:
    """Return the features of a whole split, and what else the head gives.

    Args:
        engine: Of the last stage that keeps anything.
        split: ``train`` or ``test``.
        bank: Its embeddings.
    """
    rows: dict[str, list[Tensor]] = {}
    for output, labels in _outputs(engine, bank):
        extra = {name: value for name, value in output.extra.items() if value.dim() == 2 and len(value) == len(labels)}
        for name, value in {**extra, "features": output.features.float(), "labels": labels}.items():
            rows.setdefault(f"{split}.{name}", []).append(value.detach().cpu())
    return {name: torch.cat(values) for name, values in rows.items()}


@torch.no_grad()
def test_bank(engine: Engine, data: TaskData, accelerator: Accelerator, kept: KeptTestImages | None = None) -> Bank:
    """Return the embeddings of the test images, in their order.

    Args:
        engine: Of the last stage.
        kept: Where they are kept; None where they are computed now.
    """
    plain = plain_view(data.dataset)
    if kept is not None:
        return kept.read(engine.backbone, "plain", lambda pixels, positions: plain(pixels, positions, 0, 0))
    embed = Embedder(engine.backbone, data, accelerator.device, data.parts.test, data.test_indices)
    rows = [torch.empty(0, int(engine.backbone.feature_dim), device=accelerator.device)]  # type: ignore[arg-type]
    for positions, pixels in evaluation_batches(data.parts.test, data.test_indices, 500, accelerator.device,
                                                accelerator.process_index, accelerator.num_processes):
        rows.append(embed(plain(pixels, positions, 0, 0)))
    labels = data.parts.test.labels[data.test_indices]
    return Bank(interleave(torch.cat(rows), len(labels), accelerator), labels.to(accelerator.device))


def plugin_figures(metrics: Iterable[Registered[MetricSpec]], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the figures that plugins compute of the last stage; a plugin that fails is named and left out.

    Args:
        metrics: Registered.
    """
    if not tensors:
        return {}
    last = max(int(name[len("stage"):].partition(".")[0]) for name in tensors if name.startswith("stage"))
    prefix = f"stage{last}."
    given = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    figures: dict[str, Any] = {}
    for entry in metrics:
        try:
            figures[entry.spec.name] = {name: float(value) for name, value in entry.load()(dict(given)).items()}
        except Exception as error:  # a figure that describes a run must not end it
            print(f"warning: metric {entry.spec.name!r} of {entry.distribution} is left out: {type(error).__name__}: {error}",
                  file=sys.stderr)
    return figures


def _joined(outputs: Iterable[tuple[Output, Tensor]], rows: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield features and labels, at least ``rows`` at a time where there are as many."""
    waiting: list[tuple[Tensor, Tensor]] = []
    for output, labels in outputs:
        waiting.append((output.features, labels))
        if sum(len(part) for _, part in waiting) >= rows:
            yield torch.cat([features for features, _ in waiting]), torch.cat([part for _, part in waiting])
            waiting = []
    if waiting:
        yield torch.cat([features for features, _ in waiting]), torch.cat([part for _, part in waiting])


@torch.no_grad()
def _outputs(engine: Engine, bank: Bank) -> Iterator[tuple[Output, Tensor]]:
    for embedding, labels in row_blocks(bank.embedding, bank.labels, _BATCH):
        yield engine.head(embedding), labels
