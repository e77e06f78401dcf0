"""Accuracy of the splits by epoch (Learned NCM paper, section 4.1 and figure 4), on training images."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

import ltbench

_ROWS = 4096


class LearningCurve(ltbench.Method):
    """Change nothing; note the training accuracy of many-, medium- and few-shot classes before the first and after every epoch.

    Joins any stack of any stage; as a later stage of its own it stands beside the base method, which trains. A method never sees
    test images: this is the accuracy on plain training images.
    """

    name = "learning_curve"
    stages = frozenset({1, 2})

    def measure(self, ctx: ltbench.Context) -> Mapping[str, float]:
        """Return ``train_many``, ``train_medium`` and ``train_few`` in percent, without those that have no classes."""
        bank = ctx.features("train")
        blocks = ltbench.row_blocks(bank.embedding, bank.labels, _ROWS)
        correct = [_predict(ctx, part, labels) == labels for part, labels in blocks]
        hits = torch.bincount(bank.labels[torch.cat(correct)], minlength=self.facts.num_classes).double()
        return split_accuracy(hits, ctx.class_counts)


def split_accuracy(correct: Tensor, class_counts: Tensor) -> dict[str, float]:
    """Average the accuracy over the classes of each split: more than 100 training images, 20 to 100, fewer than 20.

    Args:
        correct: Training images of each class that were classified right, shape (C,).
        class_counts: Training images of each class, shape (C,); classes without any are in no split.

    Returns:
        In percent.
    """
    accuracy = 100 * correct / class_counts.clamp_min(1)
    splits = ltbench.shot_splits(class_counts)
    return {f"train_{name}": float(accuracy[where].mean()) for name, where in splits.items() if where.any()}


def _predict(ctx: ltbench.Context, embedding: Tensor, labels: Tensor) -> Tensor:
    batch = ltbench.Batch(None, labels, [(labels, 1.0)], torch.arange(len(labels), device=labels.device), labels,
                          embedding=embedding)
    return ctx.engine.predict(batch).argmax(dim=1)
