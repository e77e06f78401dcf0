"""What others trained: a first stage, a frozen backbone in place of one, or the weights that training starts from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ltbench.backbones.checkpoint import read_checkpoint
from ltbench.backbones.resized import Resized, Scaled
from ltbench.backbones.tuning import train_only
from ltbench.errors import UserError
from ltbench.training.engine import Engine

if TYPE_CHECKING:
    from ltbench.backbones.pretrained import Weights
    from ltbench.backbones.start import Start

_FAMILY = "model."  # before all names of a backbone of timm's, and of no file that timm wrote
_CLASSIFIERS = ("fc.", "linear.", "classifier.", "head.classifier.")


class NoHead(nn.Module):
    """Stand where a checkpoint brought no classifier; later stages may not need one."""

    def forward(self, embedding: Tensor) -> Tensor:
        """Refuse."""
        raise UserError("the --stage1 file holds no classifier that fits, so its own stage cannot be evaluated; add a second one")


def load_external(engine: Engine, path: Path) -> None:
    """Load a backbone, and a linear classifier if there is one, into a first stage.

    Files written by ltbench and bare state dicts of the same backbone are read (safetensors, or torch files without pickled
    code).

    Raises:
        UserError: If it cannot be read or does not fit, naming the first tensors that differ.
    """
    tensors = read_backbone(path, engine.backbone)
    classifier = getattr(engine.head, "classifier", None)
    state = classifier.state_dict() if isinstance(classifier, nn.Module) else {}
    for prefix in _CLASSIFIERS:
        found = {name: tensors[prefix + name] for name in state if prefix + name in tensors}
        if state and len(found) == len(state) and all(found[name].shape == value.shape for name, value in state.items()):
            classifier.load_state_dict(found)  # type: ignore[union-attr]
            return
    engine.head = NoHead()


def load_weights(engine: Engine, weights: Weights) -> None:
    """Put a frozen backbone with weights that others trained into a first stage, without a classifier.

    Args:
        engine: Of the first stage; its backbone is one of timm's, for images of the weights' size.
    """
    load_weights_into(engine.backbone, weights)
    engine.backbone = Resized(engine.backbone, _scaled(weights))
    engine.head = NoHead()


def start_from(backbone: nn.Module, start: Start) -> nn.Module:
    """Give a new backbone the weights that its training starts from, and fix what of it is not trained.

    Raises:
        UserError: If they do not fit, or it has nothing of what is to be trained.
    """
    if start.weights is None:
        read_backbone(start.file, backbone)
    else:
        load_weights_into(backbone, start.weights)
        backbone.scale = _scaled(start.weights)
    return train_only(backbone, start.tune)


def _scaled(weights: Weights) -> Scaled:
    seen = weights.input
    return Scaled(seen.size, seen.interpolation, seen.mean, seen.std)


def load_weights_into(backbone: nn.Module, weights: Weights) -> None:
    """Load weights into a backbone of timm."""
    backbone.load_state_dict({f"model.{name}": value for name, value in weights.tensors().items()})


def read_backbone(path: Path, backbone: nn.Module) -> Mapping[str, Tensor]:
    """Load a backbone from a file, and return all tensors of the file, without what a training put before their names."""
    if not path.is_file():
        raise UserError(f"--stage1 must be a file, got {path}")
    wanted = {name.removeprefix(_FAMILY): name for name in backbone.state_dict()}
    checkpoint = read_checkpoint(path).fitting(wanted)
    tensors = checkpoint.tensors
    shapes = {name: value.shape for name, value in backbone.state_dict().items()}
    wrong = [name for bare, name in wanted.items() if bare not in tensors or tensors[bare].shape != shapes[name]]
    if wrong:
        raise UserError(f"{path} does not fit the backbone: {len(wrong)} of {len(wanted)} tensors are missing or of another "
                        f"shape, first {wrong[0]!r}")
    checkpoint.tell()
    backbone.load_state_dict({name: tensors[bare] for bare, name in wanted.items()})
    return tensors
