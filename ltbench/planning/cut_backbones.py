"""Whether a stage can make its backbone of what there is: found out on shapes alone, before any data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ltbench.backbones.making import make_backbone
from ltbench.data.base import Dataset
from ltbench.method.factories import BackboneFactory
from ltbench.method.stack import Stack
from ltbench.registry.discovery import Registry

if TYPE_CHECKING:
    from ltbench.backbones.start import Start
    from ltbench.planning.plan import StagePlan


def check_backbone(trial: Stack, name: str, previous: StagePlan | None, start: Start | None, dataset: Dataset,
                   registry: Registry) -> None:
    """Build a stage's backbone, or make it of that of the stage before or of the one that has given weights, without any weights.

    A backbone that cannot be built without weights is left to the run.

    Args:
        name: Of the backbone.

    Raises:
        UserError: What the method or the factory says of a backbone that lacks the parts it asks for.
    """
    if not trial.owns("build_backbone"):
        return
    try:
        with torch.device("meta"):
            _built(trial, name, previous, start, dataset, registry)
    except (RuntimeError, NotImplementedError):  # an operation of its constructor wants numbers
        return


def _built(trial: Stack, name: str, previous: StagePlan | None, start: Start | None, dataset: Dataset,
           registry: Registry) -> nn.Module:
    def below() -> nn.Module:
        assert previous is not None
        return _built(previous.trial, name, previous.previous, start, dataset, registry)

    def fresh() -> nn.Module:
        return make_backbone(name, dataset, registry)

    if previous is not None and not trial.tunes_backbone:
        return below()
    inherited = previous is not None and trial.backbone != "fresh"
    shape = dataset.channels, dataset.image_size, dataset.image_size
    return trial.owner("build_backbone").build_backbone(
        BackboneFactory(name, below if inherited else fresh, shape, inherited=inherited or start is not None))
