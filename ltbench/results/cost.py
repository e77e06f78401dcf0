"""What a prediction costs beside that of a plain classifier: parameters and operations."""

from __future__ import annotations

import torch
from torch import nn

from ltbench.backbones.operations import count_operations
from ltbench.data.task_data import TaskData
from ltbench.data.view import plain_view
from ltbench.training.build import BackboneFacts
from ltbench.training.engine import Engine


def inference_cost(engine: Engine, data: TaskData, plain: BackboneFacts, *, views: int) -> dict[str, int | float]:
    """Return what predicting one test image takes, and how often a plain linear classifier on the same backbone could do it.

    Args:
        engine: The last stage, in evaluation mode.
        plain: What a backbone of the stage's name is that no method has changed.
        views: Of an image that predictions are averaged over.

    Returns:
        ``parameters`` of backbone and head, ``operations`` an image, and ``relative``: these over the plain ones.
    """
    model = engine.trained
    dataset = data.dataset
    first = data.test_indices[:1]
    device = next(model.backbone.parameters(), torch.empty(0)).device
    plainly = plain_view(dataset)
    image = plainly(data.parts.test.fetch(first).to(device), first, 0, 0)
    operations = views * count_operations(engine.predict, image)
    linear = plain.operations + 2 * plain.feature_dim * dataset.num_classes
    return {"parameters": _parameters(model.backbone) + _parameters(model.head), "operations": operations,
            "relative": operations / linear}


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
