"""bf16 on processors without kernels for it, as nearly every laptop's: products of rounded numbers, in fp32, and rounded.

oneDNN has kernels for AVX-512 and newer, and for ARM's own bf16; torch's others are loops, ten times slower than fp32. oneDNN's
sum in fp32 too, so that another order of sums is all that differs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.library import Library
from torch.utils._pytree import tree_map_only

# Of those that autocast makes in bf16, what networks are made of.
_PRODUCTS = ("conv1d", "conv2d", "conv3d", "conv1d.padding", "conv2d.padding", "conv3d.padding",
             "linear", "matmul", "mm", "bmm", "addmm", "baddbmm")
_ROUNDED = (torch.float32, torch.bfloat16, torch.float16)  # autocast leaves others alone


def has_bf16() -> bool:
    """Tell whether oneDNN has kernels for bf16 on this processor."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)  # not in every build of torch
    return supported is not None and bool(supported())


@cache
def provide_bf16() -> Library | None:
    """Make autocast to bf16 on the CPU usable where there are no kernels, for the rest of the process."""
    return None if has_bf16() else rounded_products()


def rounded_products() -> Library:
    """Replace autocast's products on the CPU, for as long as the result lives."""
    library = Library("aten", "IMPL")  # type: ignore[no-untyped-call]
    for name in _PRODUCTS:
        packet, _, overload = name.partition(".")
        product = getattr(getattr(torch.ops.aten, packet), overload or "default")
        library.impl(name, partial(_rounded, product), "AutocastCPU")  # type: ignore[no-untyped-call]
    return library


def _rounded(product: Callable[..., Tensor], *arguments: Any, **named: Any) -> Tensor:
    half = torch.get_autocast_dtype("cpu")

    def rounded(value: Tensor) -> Tensor:
        return value.to(half).float() if value.dtype in _ROUNDED else value

    arguments, named = tree_map_only(Tensor, rounded, (arguments, named))
    with torch.autocast("cpu", enabled=False):
        result = product(*arguments, **named)
    return result.to(half) if result.dtype == torch.float32 else result
