"""The engine: the one module of a stage, whose forward pass is the training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from ltbench.backbones.tuning import rest
from ltbench.data.batch import Batch
from ltbench.method.contract import Method
from ltbench.method.moving_average import averages_in
from ltbench.method.stack import Stack, evaluation_only
from ltbench.method.values import Output, Seen

if TYPE_CHECKING:
    from ltbench.method.context import Context

# Names of a curve's own figures.
RESERVED = frozenset({"loss", "train_accuracy", "stage", "epoch", "epochs", "part", "rate"})

StepResult = tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]


def _require_own(what: str, name: str, taken: Mapping[str, Tensor]) -> None:
    if name in taken or name in RESERVED:
        raise ValueError(f"{what} must have names of their own, got {name!r}")


class Engine(nn.Module):
    """Hold backbone, head and methods of one stage.

    Only this module is handed to ``accelerator.prepare()``. Because its forward pass is the whole step, a method may call the
    backbone any number of times and distributed training still sees one forward and one backward pass.

    Args:
        make_context: Returns what the methods of this engine see while they work.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, stack: Stack, make_context: Callable[[Engine], Context]) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.methods = nn.ModuleDict({method.name: method for method in stack.methods})
        self.stack = stack
        self.rests = False  # whether what is not trained of the backbone stays in evaluation mode
        self.embedder: Callable[[Tensor], Tensor] | None = None  # what embeds images in the backbone's place, for a while
        self.ctx = make_context(self)

    @property
    def below(self) -> Engine | None:
        """The engine that speaks for this one: that of the stage before, where this stage only changes predictions."""
        return cast("Engine | None", self.ctx.previous) if self.stack.evaluation_only else None

    @property
    def trained(self) -> Engine:
        """The engine whose head and methods were trained: this one, or the nearest one below."""
        return self.below.trained if self.below is not None else self

    def method(self, name: str) -> Method:
        """Return a method of this stage by its name."""
        return cast(Method, self.methods[name])

    def train(self, mode: bool = True) -> Engine:
        """Set the mode of all parts; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.stack.backbone == "frozen":
            self.backbone.eval()
        elif self.rests and mode and self.stack.tunes_backbone:
            rest(self.backbone)
        return self

    def embed(self, batch: Batch | Tensor) -> Tensor:
        """Return the embedding (B, D) of a batch: cached, or computed from its images."""
        if isinstance(batch, Tensor):
            return cast(Tensor, (self.embedder or self.backbone)(batch))
        if batch.embedding is not None:
            return batch.embedding
        if batch.images is None:
            raise ValueError("a batch must have images or an embedding, got neither")
        if self.stack.tunes_backbone:
            return cast(Tensor, self.backbone(batch.images))
        with torch.no_grad():
            return cast(Tensor, self.backbone(batch.images))

    def output(self, batch: Batch | Tensor) -> Output:
        """Return what the model says of a batch or of images (B, channels, H, W)."""
        below = self.below
        return below.output(batch) if below is not None else cast(Output, self.head(self.embed(batch)))

    def forward(self, batches: Mapping[str, Batch]) -> StepResult:
        """Do one training step's forward pass.

        Returns:
            The loss, figures to log, and what :class:`Seen` needs, rows by their names.
        """
        self.ctx.batch = next(iter(batches.values()))
        step = self.stack.owner("step").step(self.ctx, batches)
        loss = step.loss
        logs: dict[str, Tensor] = {}
        for name, part in step.logs.items():
            _require_own("logged figures", name, logs)
            logs[name] = part.detach()
        for method in self.stack.methods:
            for name, extra in method.extra_losses(self.ctx, step).items():
                _require_own(f"extra losses of {method.name!r}", name, logs)
                loss = loss + extra
                logs[name] = extra.detach()
        self.ctx.batch = None
        logs["loss"] = loss.detach()
        logs["train_accuracy"] = (step.output.logits.detach().argmax(dim=1) == step.batch.labels).float().mean() * 100
        seen = {"features": step.output.features.detach(), "labels": step.batch.labels, "indices": step.batch.indices}
        for name, rows in step.rows.items():
            _require_own("rows of a step", name, seen)
            seen[name] = rows.detach()
        return loss, logs, seen

    def trained_state(self) -> dict[str, Tensor]:
        """Return the tensors that training made: all but those of methods that only change predictions.

        Stages with and without such methods share one result.
        """
        left_out = tuple(f"methods.{method.name}." for method in self.stack.methods if evaluation_only(type(method)))
        return {name: value for name, value in self.state_dict().items() if not name.startswith(left_out)}

    def load_trained_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what :meth:`trained_state` gave."""
        differing = sorted(self.trained_state().keys() ^ tensors.keys())
        if differing:
            raise RuntimeError(f"the stored stage does not fit: {len(differing)} tensors differ, first {differing[0]!r}")
        self.load_state_dict(dict(tensors), strict=False)

    @torch.no_grad()
    def predict(self, batch: Batch | Tensor) -> Tensor:
        """Return the logits (B, C) whose softmax is the stage's probability, in evaluation mode."""
        if isinstance(batch, Tensor) and len(views := self._test_views(batch)) > 1:
            return torch.stack([self._predict(view) for view in views]).mean(dim=0)
        return self._predict(batch)

    @property
    def has_test_views(self) -> bool:
        """Whether other images may stand for a test image, so that its embedding alone says too little."""
        return self.stack.owns("test_views") or (self.below is not None and self.below.has_test_views)

    def _test_views(self, images: Tensor) -> Sequence[Tensor]:
        below = self.below
        if below is not None and not self.stack.owns("test_views"):
            return below._test_views(images)
        return self.stack.owner("test_views").test_views(self.ctx, images)

    def _predict(self, batch: Batch | Tensor) -> Tensor:
        below = self.below
        if below is not None and not self.stack.owns("predict"):
            logits = below._predict(batch)
        else:
            logits = self.stack.owner("predict").predict(self.ctx, self.output(batch))
        for method in self.stack.methods:
            logits = method.adjust_logits(self.ctx, logits)
        return logits

    def restart_averages(self) -> None:
        """Let moving averages begin where the modules are that they follow."""
        for average in averages_in(self):
            average.restart()

    def after_step(self, seen: Seen) -> None:
        """Let every method act on the global batch."""
        with torch.no_grad():
            for method in self.stack.methods:
                method.after_step(self.ctx, seen)
