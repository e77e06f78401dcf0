"""What of a backbone is trained that starts from given weights, and what the rest of it does meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ltbench.errors import UserError

Network = TypeVar("Network", bound=nn.Module)


def train_only(network: Network, part: str) -> Network:
    """Let a part of a network be trained, and nothing else of it.

    Args:
        part: ``all``; ``last`` for nothing of a backbone, so that the classifier after it is trained alone; ``norm`` for the
            scales and shifts of its normalization layers; ``bias`` for whatever is called a bias.

    Raises:
        UserError: If there is no such part.
    """
    chosen = set(map(id, _chosen(network, part)))
    if not chosen and part != "last":
        raise UserError(f"--tune {part} must find something to train, but the backbone has nothing of it")
    for parameter in network.parameters():
        parameter.requires_grad_(id(parameter) in chosen)
    return network


def rest(network: nn.Module) -> None:
    """Put what is not trained into evaluation mode, within a network in training mode.

    Modules whose parameters are all fixed rest whole, with the dropout in them. A batch norm rests, and keeps its running
    statistics, where its scale is fixed: these statistics belong to it as the scale does.
    """
    for module in network.modules():
        parameters = list(module.parameters())
        fixed = bool(parameters) and not any(parameter.requires_grad for parameter in parameters)
        if fixed or isinstance(module, _BatchNorm) and not (module.weight is not None and module.weight.requires_grad):
            module.eval()


def _chosen(network: nn.Module, part: str) -> Iterator[nn.Parameter]:
    if part == "all":
        yield from network.parameters()
    elif part == "bias":
        yield from (parameter for name, parameter in network.named_parameters() if name.endswith("bias"))
    elif part == "norm":
        for module in network.modules():
            # torch and timm have a dozen classes of them, with no parent in common but a name: LayerNorm2d, RmsNorm, EvoNorm2dS0.
            if any("norm" in kind.__name__.lower() for kind in type(module).__mro__):
                yield from module.parameters(recurse=False)
