"""Bilateral-branch network (Zhou et al., 2020, section 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

import ltbench

Adaptor = Literal["parabolic", "linear", "cosine", "increment", "equal", "beta"]
_BETA = 0.2  # both parameters of the Beta distribution that the paper tries as an adaptor


def alpha_at(adaptor: Adaptor, progress: float) -> float:
    """Return the weight of the conventional branch (cumulative learning, section 4.3, and the alternatives that the paper tries).

    Args:
        adaptor: Any but ``beta``, which is drawn.
        progress: T / T_max, from 0 to below 1.
    """
    return {
        "parabolic": 1 - progress**2,
        "linear": 1 - progress,
        "cosine": math.cos(progress * math.pi / 2),
        "increment": progress**2,
        "equal": 0.5,
    }[adaptor]


def split_last_block(stage: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Cut a stage before its last part that holds a convolution: what branches share, and what each has of its own.

    Args:
        stage: In anything but a sequence there is nothing to cut, and branches share none of it.
    """
    parts = list(stage.children()) if isinstance(stage, nn.Sequential) else []
    blocks = [i for i, part in enumerate(parts) if any(isinstance(inner, nn.Conv2d) for inner in part.modules())]
    if not blocks or blocks[-1] == 0:
        return nn.Identity(), stage
    return nn.Sequential(*parts[: blocks[-1]]), nn.Sequential(*parts[blocks[-1]:])


class BranchBackbone(nn.Module):
    """Share a trunk between two branches, whose pooled features stand side by side.

    Args:
        trunk: Images (B, channels, H, W) -> maps.
        conventional: Maps -> features (B, d).
        rebalancing: The same, with weights of its own.
        branch_dim: d.
    """

    feature_dim: int

    def __init__(self, trunk: nn.Module, conventional: nn.Module, rebalancing: nn.Module, branch_dim: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.conventional = conventional
        self.rebalancing = rebalancing
        self.feature_dim = 2 * branch_dim

    def forward(self, images: Tensor) -> Tensor:
        """Return both branches' features of the same images, shape (B, 2 d)."""
        maps = self.trunk(images)
        return torch.cat([self.conventional(maps), self.rebalancing(maps)], dim=1)


class BilateralBranch(ltbench.Method):
    """Train one branch on instance-balanced and one on class-reversed images; attention moves from the first to the second.

    Both share all but the end of the backbone and one classifier over both. The images of the two streams meet in one logit
    vector, so that the representation learns first and the tail is made to count later.

    Args:
        adaptor: How the weight alpha of the conventional branch goes from 1 to 0: ``parabolic``, or one of the paper's ablation.
        branch: What a branch has of its own: the last ``block`` of the backbone's last stage, or the whole ``stage``.
    """

    name = "bbn"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, adaptor: Adaptor = "parabolic",
                 branch: Literal["block", "stage"] = "block") -> None:
        super().__init__(facts)
        self.adaptor: Adaptor = adaptor
        self.branch = branch

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public configuration on CIFAR: decay by 0.01 at 120 and 160 of 200 epochs, weight decay 2e-4."""
        if task.dataset not in ("cifar10-lt", "cifar100-lt"):
            return None
        return ltbench.PaperSetting(protocol={
            "epochs": 200, "batch_size": 128, "lr": 0.1, "momentum": 0.9, "weight_decay": 2e-4, "warmup": 0.025,
            "schedule": "step", "milestones": (0.6, 0.8), "gamma": 0.01, "augmentation": ("crop", "flip"),
        })

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        """Return the two-branch backbone."""
        trunk, conventional, rebalancing = make.trunk(), make.last_stage(), make.last_stage()
        stage, other = getattr(conventional, "stage", None), getattr(rebalancing, "stage", None)
        if self.branch == "block" and isinstance(stage, nn.Module) and isinstance(other, nn.Module):
            shared, conventional.stage = split_last_block(stage)
            _, rebalancing.stage = split_last_block(other)
            trunk = nn.Sequential(trunk, shared)
        return BranchBackbone(trunk, conventional, rebalancing, make.feature_dim)

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the instance-balanced stream and the reversed one."""
        return {"main": ltbench.InstanceBalanced(), "reversed": ltbench.ClassReversed()}

    def mix(self, ctx: ltbench.Context, batch: ltbench.Batch) -> ltbench.Batch:
        """Return the batch as drawn; owning this says that no other method may mix what the branches mix already."""
        return batch

    def alpha(self, ctx: ltbench.Context) -> float:
        """Return the weight of the conventional branch in this step."""
        if self.adaptor == "beta":
            return ctx.draw_beta(_BETA, _BETA)
        return alpha_at(self.adaptor, ctx.progress)

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Mix the branches' features, and their losses, by alpha and 1 - alpha.

        Doubled, the features have at alpha = 1/2 the weight that prediction gives them: it reads the plain concatenation.
        """
        main, other = batches["main"], batches["reversed"]
        backbone = ctx.engine.backbone
        if main.images is None or other.images is None or not isinstance(backbone, BranchBackbone):
            raise ValueError("bbn needs images and a backbone of its own, got a batch or a backbone without")
        alpha = self.alpha(ctx)
        conventional = backbone.conventional(backbone.trunk(main.images))  # (B, d)
        rebalancing = backbone.rebalancing(backbone.trunk(other.images))
        mixed = 2 * torch.cat([alpha * conventional, (1 - alpha) * rebalancing], dim=1)  # (B, 2 d)
        output = ctx.engine.head(mixed)
        loss = alpha * ctx.loss(output.logits, main) + (1 - alpha) * ctx.loss(output.logits, other)
        return ltbench.Step(loss, output, main)
