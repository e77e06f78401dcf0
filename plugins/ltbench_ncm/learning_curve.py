"""Accuracy of the splits by epoch (Learned NCM paper, section 4.1 and figure 4), on images trained on and on images held out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

import ltbench

_ROWS = 4096


class LearningCurve(ltbench.Method):
    """Change nothing; note the accuracy of many-, medium- and few-shot classes before the first and after every epoch.

    Joins any stack of any stage; as a later stage of its own it stands beside the base method, which trains. A method never sees
    test images: this is the accuracy on plain training images and, in a run that holds some out, on those.
    """

    name = "learning_curve"
    stages = frozenset({1, 2})

    def measure(self, ctx: ltbench.Context) -> Mapping[str, float]:
        """Return ``train_many``, ``train_medium`` and ``train_few`` in percent, and ``held_out_many`` and so on where images are.

        Splits that have no classes are left out.
        """
        figures: dict[str, float] = {}
        for name in ctx.splits:
            bank = ctx.features(name)
            blocks = ltbench.row_blocks(bank.embedding, bank.labels, _ROWS)
            correct = torch.cat([_predict(ctx, part, labels) == labels for part, labels in blocks])
            hits, total = (torch.bincount(labels, minlength=self.facts.num_classes)
                           for labels in (bank.labels[correct], bank.labels))
            figures |= {f"{name}_{split}": value for split, value in split_accuracy(hits, total, ctx.class_counts).items()}
        return figures


def split_accuracy(correct: Tensor, total: Tensor, class_counts: Tensor) -> dict[str, float]:
    """Average the accuracy over the classes of each split: more than 100 training images, 20 to 100, fewer than 20.

    Args:
        correct: Images of each class that were classified right, shape (C,).
        total: Images of each class, shape (C,); classes without any are in no split.
        class_counts: Training images of each class, shape (C,).

    Returns:
        In percent.
    """
    accuracy = 100 * correct.double() / total.clamp_min(1)
    splits = {name: where & (total > 0) for name, where in ltbench.shot_splits(class_counts).items()}
    return {name: float(accuracy[where].mean()) for name, where in splits.items() if where.any()}


def _predict(ctx: ltbench.Context, embedding: Tensor, labels: Tensor) -> Tensor:
    batch = ltbench.Batch(None, labels, [(labels, 1.0)], torch.arange(len(labels), device=labels.device), labels,
                          embedding=embedding)
    return ctx.engine.predict(batch).argmax(dim=1)
