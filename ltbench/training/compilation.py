"""Compile what has a fixed shape in a training step: the passes of images through the backbone.

Heads, losses and what methods do besides are a few operations on (B, D) and stay as they are: nothing about a method has to be
traceable. Parameters keep their names, and nothing of it is left on the backbone when the training is over.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from ltbench.training.engine import Engine

_CACHE = "TORCHINDUCTOR_CACHE_DIR"
# A matrix may train many backbones at several batch sizes; at torch's limit of 8 it would go back to plain passes.
_VARIANTS = 256


@contextmanager
def compiled(engine: Engine, cache: Path, *, alone: bool) -> Iterator[None]:
    """Compile the training passes of a stage's backbone and of the parts of it that methods call by themselves.

    A part is compiled when it is first called, so one that is called within another only costs nothing. Passes in evaluation
    mode are seldom and come in other shapes: they stay as they are.

    On CUDA, passes are captured as graphs, which launch many small operations at once. A graph writes where it wrote before, so
    that no gradient may wait there for another to be added to it or to be exchanged.

    Args:
        cache: Folder in whose ``compiled`` the compiler keeps what it makes, for later processes.
        alone: Whether an optimizer step is one pass in one process.
    """
    if not engine.stack.tunes_backbone:  # it is not called, or without gradients
        yield
        return
    import torch._dynamo  # takes a second, which other runs need not wait

    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # or it warns that torch knows CUDA and there is none
    graphs = alone and engine.ctx.device.type == "cuda"
    parts = list(_parts(engine.backbone))
    with _kept_in(cache / "compiled"), torch._dynamo.config.patch(recompile_limit=_VARIANTS):
        try:
            for part in parts:
                call = torch.compile(part._call_impl, dynamic=False, mode="reduce-overhead" if graphs else None)
                part._compiled_call_impl = _TrainingPass(part, call, copied=graphs)  # where Module.compile puts it
            yield
        finally:
            for part in parts:
                part._compiled_call_impl = None
            if graphs:
                torch.compiler.reset()  # a captured graph keeps all the memory that it works in


def _parts(backbone: nn.Module) -> Iterator[nn.Module]:
    """Yield what may be called by itself, each once: the backbone, what it consists of, and every sequence, such as a stage."""
    seen: set[int] = set()
    sequences = (part for part in backbone.modules() if isinstance(part, nn.Sequential))
    for part in (backbone, *backbone.children(), *sequences):
        if id(part) not in seen:
            seen.add(id(part))
            yield part


class _TrainingPass:
    """Call the compiled pass in training, and the plain one elsewhere: other shapes and modes would each be compiled anew.

    Args:
        copied: Whether results are copied out of the memory of a captured graph, which the next pass overwrites.
    """

    def __init__(self, part: nn.Module, compiled: Callable[..., Any], *, copied: bool) -> None:
        self._part, self._compiled, self._copied = part, compiled, copied

    def __call__(self, images: Tensor) -> Tensor:
        if not self._part.training or torch.compiler.is_compiling():  # in the latter case, as a part of another
            return cast(Tensor, self._part._call_impl(images))  # type: ignore[no-untyped-call]
        result: Tensor = self._compiled(images)
        return result.clone() if self._copied else result


@contextmanager
def _kept_in(cache: Path) -> Iterator[None]:
    """Name the compiler's folder; torch sets the variable by itself to one below the temporary files, which do not last."""
    before = os.environ.get(_CACHE)
    os.environ[_CACHE] = str(cache)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_CACHE]
        else:
            os.environ[_CACHE] = before
