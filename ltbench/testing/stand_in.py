"""A GPU's stand-in for machines without one: tensors that are on ``cuda:0`` as far as any code can tell, computed on the CPU.

torch's FakeTensorMode holds no numbers, and on CUDA has no backward pass without a driver: a method that reads a loss, or picks
rows by a mask, does not run in it. Here everything is computed. Where a tensor is said to be is noted on its storage, so that
views, parameters and changes in place agree by themselves; and calls of torch, in the backward pass too, are held to the rules of
a device: tensors of two devices do not meet but as scalars, indices and copies, a generator draws where it is, and numpy reads
nothing that is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest import mock

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.autograd.graph import _engine_run_backward
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device("cuda", 0)
_CPU = torch.device("cpu")
_NAMED = re.compile(r"cuda(:\d+)?")
_ABOUT = {"device": DEVICE, "is_cuda": True, "is_cpu": False, "get_device": DEVICE.index}
_TO_NUMPY = {"numpy", "__array__", "__dlpack__"}
_MOVES = {"to", "cuda", "cpu", "type_as"}
_ANYWHERE = {"copy_", "_foreach_copy_", "__deepcopy__", "data", "broadcast_tensors", "_has_compatible_shallow_copy_type"}
_FROM_DATA = {"tensor", "as_tensor", "asarray"}
_INDEXES = {"__getitem__", "__setitem__", "index_put", "index_put_"}
_NO_SCALARS = {"stack", "hstack", "vstack", "column_stack", "index_select", "take"}  # others take scalars from anywhere


class _Generator(torch.Generator):
    """Draw on the CPU, and be said to be where it was asked for."""

    _place: torch.device

    def __new__(cls, device: torch.device | str = _CPU) -> _Generator:
        """Return one for a device."""
        made = super().__new__(cls, _CPU)  # type: ignore[call-arg]  # torch's stubs know its __init__ alone
        made._place = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """Where it is said to be."""
        return self._place


def _storage(tensor: Tensor) -> object:
    try:
        return tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):  # sparse tensors, and those within torch.func
        return None


def _is_there(tensor: Tensor) -> bool:
    return getattr(_storage(tensor), "on_stand_in", False)


def _leaves(values: Iterable[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, (list, tuple, dict)):
            yield from _leaves(value.values() if isinstance(value, dict) else value)
        else:
            yield value


def _tensors(values: Iterable[object]) -> list[Tensor]:
    return [leaf for leaf in _leaves(values) if isinstance(leaf, Tensor)]


def _mark(results: object, arguments: Sequence[Tensor] = (), *, on: bool = True) -> None:
    """Note that what a call has made is there; what it was given stays where it is."""
    given = {id(_storage(tensor)) for tensor in arguments}
    for tensor in _tensors([results]):
        storage = _storage(tensor)
        if storage is not None and id(storage) not in given:
            storage.on_stand_in = on  # type: ignore[attr-defined]  # storages take attributes, and keep them as long as they live


def _device(value: object) -> torch.device | None:
    """Return the device that an argument names."""
    if isinstance(value, torch.device):
        return value
    return torch.device(value) if isinstance(value, str) and (value == "cpu" or _NAMED.fullmatch(value)) else None


def _here(value: object) -> object:
    """Return an argument with the CPU in the stand-in's place."""
    named = _device(value)
    return _CPU if named is not None and named.type == DEVICE.type else value


class _Rules(TorchFunctionMode):
    """Hold every call of torch to the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.calling = 0  # depth of calls that have not returned

    def __torch_function__(self, func: Callable[..., Any], types: object, args: Sequence[Any] = (),
                           kwargs: Mapping[str, Any] | None = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func.__name__
        if name in ("__get__", "__set__"):
            name = func.__self__.__name__  # type: ignore[attr-defined]  # of the attribute
        leaves = list(_leaves(args[:1] if name == "__deepcopy__" else (*args, kwargs)))
        given = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        there = any(map(_is_there, given))
        if there and name in _ABOUT:
            return _ABOUT[name]
        if there and name in _TO_NUMPY:
            raise TypeError(f"can't convert {DEVICE} device type tensor to numpy. Use Tensor.cpu() to copy it to the host first.")
        if name in ("device", "_parse_to"):
            return func(*args, **kwargs)
        if name == "pin_memory":
            if there:
                raise RuntimeError("only dense CPU tensors can be pinned")
            return args[0].clone()
        _check_together(name, args, given)
        if name in _INDEXES:
            there = _is_there(args[0])
        elif name in _FROM_DATA:
            there = isinstance(args[0], Tensor) and there
        asked = _asked(name, args, kwargs)
        if asked is not None:
            there = asked.type == DEVICE.type
        _check_generators(leaves, DEVICE if there else _CPU)
        if name in _MOVES:
            return self._move(func, name, args, kwargs, there)
        made = self._call(func, args, kwargs)
        if there:
            _mark(made, given)
        elif name == "grad":  # of what is here, though the backward pass came from there
            _mark(made, on=False)
        return made

    def _call(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        self.calling += 1
        try:
            return func(*map(_here, args), **{name: _here(value) for name, value in kwargs.items()})
        finally:
            self.calling -= 1

    def _move(self, func: Callable[..., Any], name: str, args: Sequence[Any], kwargs: Mapping[str, Any], there: bool) -> Tensor:
        own: Tensor = args[0]
        moved: Tensor = own if name in ("cpu", "cuda") else self._call(func, args, kwargs)
        if _is_there(own) != there and _storage(moved) is _storage(own):
            moved = self._call(Tensor.clone, [moved], {})
        if there:
            _mark(moved, [own])
        return moved

    def back(self, engine: Callable[..., Any], outputs: Sequence[Tensor], *args: Any, **kwargs: Any) -> Any:
        """Run the backward pass with the rules in force, for what others wrote of it; what torch itself computes is there."""
        if not any(map(_is_there, outputs)):
            return engine(outputs, *args, **kwargs)
        _mark(args[0])  # the gradients to begin with
        before, self.calling = self.calling, 0
        try:
            with self, _Marks(self):
                return engine(outputs, *args, **kwargs)
        finally:
            self.calling = before


class _Marks(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's class has no types
    """Note that what the backward pass computes is there, where no call of torch's interface does."""

    def __init__(self, rules: _Rules) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self._rules = rules

    def __torch_dispatch__(self, func: Callable[..., Any], types: object, args: Sequence[Any] = (),
                           kwargs: Mapping[str, Any] | None = None) -> Any:
        with torch._C.DisableTorchFunction():
            made = func(*args, **(kwargs or {}))
            if not self._rules.calling:
                _mark(made, _tensors(args))
        return made


def _asked(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device | None:
    """Return the device that a call asks for."""
    if name in ("cpu", "cuda"):
        return torch.device(name)
    if name in ("to", "type_as") and len(args) > 1 and isinstance(args[1], Tensor):
        return DEVICE if _is_there(args[1]) else args[1].device
    return next((named for value in (*args, kwargs.get("device")) if (named := _device(value)) is not None),
                (DEVICE if _is_there(args[0]) else args[0].device) if name == "to" else None)


def _check_together(name: str, args: Sequence[Any], given: Sequence[Tensor]) -> None:
    if name in _ANYWHERE or name in _MOVES or name in _FROM_DATA:
        return
    if name in _INDEXES:
        indexes, own = _tensors([args[1]]), args[0]
        if not _is_there(own) and any(map(_is_there, indexes)):
            raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
        if name == "__setitem__" and not indexes:
            return  # a copy
        given = [own, *(value for value in _tensors(args[2:]) if value.dim())]
    places = {_is_there(tensor) for tensor in given if tensor.dim() or name in _NO_SCALARS or _is_there(tensor)}
    if len(places) > 1:
        raise RuntimeError(f"Expected all tensors to be on the same device, but found at least two devices, {DEVICE} and cpu!")


def _check_generators(leaves: Iterable[object], place: torch.device) -> None:
    for generator in (leaf for leaf in leaves if isinstance(leaf, torch._C.Generator)):
        if generator.device.type != place.type:
            raise RuntimeError(f"Expected a '{place.type}' device type for generator but found '{generator.device.type}'")


@contextmanager
def free_memory(size: int) -> Iterator[None]:
    """Let a GPU say that so many bytes are free."""
    with mock.patch.object(torch.cuda, "mem_get_info", lambda device: (size, size)):
        yield


@contextmanager
def stand_in(memory: int = 1 << 36) -> Iterator[torch.device]:
    """Let whatever uses an accelerator within use the stand-in.

    Args:
        memory: Bytes that it says are free.
    """
    said = {"get_rng_state": lambda device: torch.get_rng_state(), "set_rng_state": lambda state, device: None,
            "synchronize": lambda device: None, "reset_peak_memory_stats": lambda device: None,
            "max_memory_allocated": lambda device: 0, "get_device_name": lambda device: "stand-in"}
    with ExitStack() as stack:
        stack.enter_context(free_memory(memory))
        for name, value in said.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stack.enter_context(mock.patch.object(Accelerator, "device", DEVICE))
        stack.enter_context(mock.patch.object(torch, "Generator", _Generator))
        rules = stack.enter_context(_Rules())
        stack.enter_context(mock.patch("torch.autograd._engine_run_backward", partial(rules.back, _engine_run_backward)))
        yield DEVICE
