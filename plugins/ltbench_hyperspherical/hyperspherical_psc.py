"""Dynamic assignment on the prototypes of a trained softmax classifier (Saadabadi et al., 2024, table 8, "Ours*")."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_hyperspherical import setting
from ltbench_hyperspherical.fixed import Dimension, Reduction
from ltbench_hyperspherical.hyperspherical import Hyperspherical, Momentum
from ltbench_hyperspherical.psc import CosineSoftmax


class TrainedPrototypes(Hyperspherical):
    """Take the weight vectors of the classifier below as fixed prototypes, and train a network for them as a first stage would.

    Args:
        dim: d, the width of the vectors below; none for that of the embedding.
        restart: Whether the network starts from new weights, as in the paper; false goes on from those below.
        dynamic: Whether labels are reassigned; false keeps each label's own vector.
        reduction: As of ``hyperspherical``.
    """

    name = "hyperspherical_psc"
    needs = frozenset({"linear", CosineSoftmax.__name__})
    stages = frozenset({2})
    inputs = "images"
    backbone = "tuned"
    below: ClassVar[str | None] = "psc"

    def __init__(self, facts: ltbench.Facts, *, dim: Dimension = None, restart: bool = True, dynamic: bool = True,
                 reassign_every: Annotated[int, ltbench.Interval(ge=0)] = 0, momentum: Momentum = 0.9,
                 renormalize: bool = False, reduction: Reduction = "mean") -> None:
        super().__init__(facts, dim=facts.feature_dim if dim is None else dim, dynamic=dynamic, reassign_every=reassign_every,
                         momentum=momentum, renormalize=renormalize, reduction=reduction)
        self.restart = restart

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of table 8: as long a training as the one below, on CIFAR-100."""
        first = setting.protocol(task) if task.dataset == "cifar100" else None
        if first is None:
            return None
        later = {"stage2_draws": float(first["epochs"]), "stage2_batch_size": first["batch_size"], "stage2_lr": first["lr"],
                 "stage2_weight_decay": first["weight_decay"], "stage2_schedule": first["schedule"]}
        return ltbench.PaperSetting(protocol={**first, **later}, hyperparameters={"reduction": "sum"}, stage1="psc",
                                    stage1_protocol=first, alternatives={"backbone": ("resnet32",)})

    def setup(self, ctx: ltbench.Context) -> None:
        """Set the prototypes and, as told, start the network anew."""
        super().setup(ctx)
        if self.restart:
            restart(ctx.engine.backbone)

    def prototypes(self, ctx: ltbench.Context) -> Tensor:
        """Return the directions of the weight vectors below, shape (C, d)."""
        head = ctx.previous.head if ctx.previous is not None else None
        classifier = getattr(head, "classifier", None)
        if not isinstance(classifier, nn.Linear):  # a cosine's weights are directions, too
            raise ltbench.UserError(f"the classifier of the stage before must be linear, got {type(classifier).__name__}")
        if classifier.in_features != self.dim:
            raise ltbench.UserError(f"dim must be {classifier.in_features}, as in the stage before, got {self.dim}")
        return F.normalize(classifier.weight.detach(), dim=1)


@torch.no_grad()
def restart(network: nn.Module) -> None:
    """Draw all weights of a network anew: convolutions from Kaiming's normal distribution, the rest as torch does.

    Args:
        network: Changed in place.
    """
    for part in network.modules():
        reset = getattr(part, "reset_parameters", None)
        if callable(reset):
            reset()
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
