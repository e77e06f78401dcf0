"""Whether what a stage trains depends on how ``--accumulate`` cuts a global batch.

Where it does, the number of parts stands in the stage's key: a result of one cutting is never taken for that of another.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import nn

from ltbench.backbones.request import BackboneRequest
from ltbench.data.base import Dataset
from ltbench.method.stack import Stack
from ltbench.planning.expression import Member
from ltbench.registry.catalog import Registered
from ltbench.registry.discovery import Registry
from ltbench.registry.specs import BackboneSpec
from ltbench.terms.protocol import Protocol


def sees_cuts(choices: Sequence[Member], trial: Stack, protocol: Protocol, registry: Registry, dataset: Dataset) -> bool:
    """Tell whether a stage trains something else on parts of a batch than on the whole.

    Args:
        choices: The methods that train; one may say so of itself (``MethodSpec.per_part``).
        protocol: As realized: it names the backbone, whose batch norm and dropout see a part at a time, where they are on.
    """
    if not trial.trains:
        return False
    if any(choice.entry.spec.per_part for choice in choices):
        return True
    if trial.backbone == "frozen":
        return False
    entry, member = registry.backbone(protocol.backbone)
    return _looks_around(entry, BackboneRequest(member, dataset.channels, dataset.image_size))


@functools.cache
def _looks_around(entry: Registered[BackboneSpec], request: BackboneRequest) -> bool:
    """Tell whether a backbone has a batch norm or a dropout; one that cannot be built without numbers is taken to have."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            backbone: nn.Module = entry.load()(request)
    except Exception:  # whatever a stranger's network does with tensors that hold no numbers
        return True
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) or _drops(part) for part in backbone.modules())


def _drops(part: nn.Module) -> bool:
    if isinstance(part, nn.modules.dropout._DropoutNd):
        return part.p > 0
    return float(getattr(part, "drop_prob", None) or 0) > 0  # timm's way to drop whole paths
