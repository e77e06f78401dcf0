"""Batch norm folded into the layer before it: in evaluation it is one scale and one shift a channel.

Any plugin's network may come here, so nothing is believed of it. That a norm reads a layer's output, and that nobody else does,
must stand in a symbolic trace of a module that holds both; the copy must then give what the network gives on real images.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, fx, nn

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_TOLERANCE = 1e-3  # of the largest number of the embedding; rounding stays below 1e-5 in every backbone of the tests


@torch.no_grad()
def fold_batch_norm(network: nn.Module, images: Callable[[], Tensor]) -> nn.Module:
    """Return a copy of a network without the batch norms that follow a convolution or a linear layer.

    The network itself is returned where nothing can be folded: no such pair is proven, modules carry hooks, which belong to the
    network and not to a copy, it cannot be copied, it keeps something of the images that it sees, or the copy says something
    else. It is never changed, nor called.

    Args:
        network: Images -> embedding (B, D), in evaluation mode.
        images: Returns a few real ones, shape (B, channels, height, width); called only if there is something to fold.
    """
    # Subclasses may do more than their parents (an activation in a norm, a padding in a convolution): only the types themselves.
    if not any(type(part) in _NORMS for part in network.modules()) or _hooked(network):
        return network
    device = next((tensor.device for tensor in network.parameters()), torch.device("cpu"))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):  # the network may draw; nobody must notice
        try:
            pairs = _pairs(_skeleton(network))
            if not pairs:
                return network
            folded, sample = copy.deepcopy(network), images()
            before = _held(folded)
            expected = folded(sample)
            after = _held(folded)
            if len(before) != len(after) or any(old is not new or changes != more for (old, changes), (new, more)
                                                in zip(before, after, strict=True)):
                return network  # it keeps something of what it sees, which somebody may read, and not from a copy
            for layer, norm in pairs:
                _fold(folded.get_submodule(layer), folded.get_submodule(norm))
                folded.set_submodule(norm, nn.Identity())
            same = (folded(sample) - expected).abs().max() <= _TOLERANCE * expected.abs().max()  # False where a number is NaN
        except Exception:  # whatever a stranger's module does to copies and symbolic values: it is evaluated as it is
            return network
    return folded if same else network


def _hooked(network: nn.Module) -> bool:
    return any(part._forward_hooks or part._forward_pre_hooks for part in network.modules())


def _held(network: nn.Module) -> list[tuple[object, int]]:
    """Return all that modules hold, one level deep: attributes, and what stands in their lists and dictionaries.

    Beside each stands how often it was changed in place, as tensors count it.
    """
    held: list[object] = []
    for value in (value for part in network.modules() for value in vars(part).values()):
        held.append(value)
        held += value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [(value, value._version if isinstance(value, Tensor) else 0) for value in held]


def _skeleton(network: nn.Module) -> nn.Module:
    """Return a copy without numbers: a trace leaves symbols in modules that keep what they see, and cycles that live on."""
    memo: dict[int, object] = {id(tensor): tensor.to("meta") for tensor in network.buffers()}
    memo |= {id(tensor): nn.Parameter(tensor.to("meta"), requires_grad=False) for tensor in network.parameters()}
    return copy.deepcopy(network, memo)


def _pairs(network: nn.Module) -> list[tuple[str, str]]:
    """Return the names of layers and of the norms that alone read them, each module standing in the network once."""
    copies = Counter(part for _, part in network.named_modules(remove_duplicate=False))
    return [(layer, norm) for layer, norm in _traced_pairs(network)
            if copies[network.get_submodule(layer)] == 1 == copies[network.get_submodule(norm)]]


def _traced_pairs(network: nn.Module) -> list[tuple[str, str]]:
    """Look at the trace of the whole; where there is none, at those of the parts."""
    try:
        graph = fx.Tracer().trace(network)
    except Exception:  # control flow that depends on values, and much else
        return [(f"{name}.{layer}", f"{name}.{norm}") for name, part in network.named_children()
                for layer, norm in _traced_pairs(part)]
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    found = []
    for node in graph.nodes:
        if node.op != "call_module" or not _foldable(network.get_submodule(str(node.target))) or node.kwargs:
            continue
        before = node.args[0]
        if (isinstance(before, fx.Node) and before.op == "call_module" and len(before.users) == 1
                and type(network.get_submodule(str(before.target))) in _LAYERS
                and calls[node.target] == 1 == calls[before.target]):
            found.append((str(before.target), str(node.target)))
    return found


def _foldable(norm: nn.Module) -> bool:
    return type(norm) in _NORMS and not norm.training and getattr(norm, "running_mean", None) is not None


def _fold(layer: nn.Module, norm: nn.Module) -> None:
    """Give a layer the norm's scale and shift, in place; computed in float64 and rounded once."""
    def wide(part: nn.Module, name: str, absent: float) -> Tensor:
        value = getattr(part, name)
        return torch.full_like(mean, absent) if value is None else value.double()

    mean = norm.get_buffer("running_mean").double()  # (C,)
    scale = wide(norm, "weight", 1) / (norm.get_buffer("running_var").double() + norm.eps).sqrt()  # type: ignore[operator]
    weight = layer.get_parameter("weight")
    bias = (wide(layer, "bias", 0) - mean) * scale + wide(norm, "bias", 0)
    by_channel = scale.view(-1, *[1] * (weight.dim() - 1))
    layer.weight = nn.Parameter((weight.double() * by_channel).to(weight.dtype), requires_grad=False)
    layer.bias = nn.Parameter(bias.to(weight.dtype), requires_grad=False)
