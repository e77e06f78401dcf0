"""Find what would make the host wait for the device, on a machine without one.

Tensors that a training has on its device are marked, and marks spread to what is computed from them. Reading a marked tensor, or
bringing an unmarked one to marked ones, is a wait on a real device: a copy blocks unless it is asked not to.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# What reads values, or needs them to know how much memory its result takes.
_READS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::bincount", "aten::equal", "aten::_unique2",
          "aten::unique_dim", "aten::unique_consecutive", "aten::repeat_interleave", "aten::histc"}
_COPIES_BACK = {"tolist", "numpy", "cpu", "__array__"}
_MOVES = {"to", "copy_", "cuda"}


def _tensors(value: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def on_device(tensor: Tensor) -> bool:
    return getattr(tensor, "_on_device", False)


def mark(value: object) -> None:
    """Say that tensors are on the device."""
    for tensor in _tensors(value):
        tensor._on_device = True  # type: ignore[attr-defined]


class Waits(TorchFunctionMode):
    """Write down every wait, as the line of code that causes it."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found
        self.reading = False  # whether what runs now works on the device

    def note(self, what: str) -> None:
        frames = [frame for frame in traceback.extract_stack() if "/torch/" not in frame.filename and frame.filename != __file__]
        self.found.append(f"{what}: {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}: {frames[-1].line}")

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        inputs = _tensors((args, kwargs))
        marked = [tensor for tensor in inputs if on_device(tensor)]
        if marked and name in _COPIES_BACK:
            self.note(name)
        elif name in _MOVES and args and self._arrives(name, args, kwargs):
            if not kwargs.get("non_blocking"):
                self.note(f"{name} without non_blocking")
            marked = inputs
        elif marked and name != "backward" and any(tensor.dim() and not on_device(tensor) for tensor in inputs):
            self.note(f"{name} of tensors here and there")
        before, self.reading = self.reading, self.reading or bool(marked) or name == "backward"
        try:
            result = func(*args, **kwargs)
        finally:
            self.reading = before
        if marked or kwargs.get("device") is not None:
            if name == "tensor":
                self.note("tensor on the device")
            mark(result)
        return result

    @staticmethod
    def _arrives(name: str, args: Any, kwargs: Any) -> bool:
        """Tell whether a tensor is brought to the device."""
        if name == "copy_":
            return on_device(args[0]) and not on_device(args[1])
        goes = any(isinstance(value, (torch.device, str)) for value in (*args[1:], kwargs.get("device")))
        goes = goes or any(on_device(value) for value in args[1:] if isinstance(value, Tensor))
        return goes and not on_device(args[0])


class _Kernels(TorchDispatchMode):
    """Write down the kernels that read values, wherever they are called from."""

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.waits.reading:
            name = func._schema.name
            masks = name in ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_") and any(
                part is not None and part.dtype in (torch.bool, torch.uint8) for part in args[1])
            if name in _READS or masks:
                self.waits.note(name)
        return func(*args, **(kwargs or {}))


@contextmanager
def waits() -> Iterator[list[str]]:
    """Collect the waits of what runs within."""
    found: list[str] = []
    with ExitStack() as modes:
        mode = modes.enter_context(Waits(found))
        modes.enter_context(_Kernels(mode))
        yield found
