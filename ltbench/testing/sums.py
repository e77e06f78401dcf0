"""What is compared where only the order of sums differs, and how to make sure that nothing else does."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

# Sums in another order: after two steps, single precision differs by about 1e-6 of the largest entry of a tensor.
_RELATIVE = 1e-4
_TINY = 1e-6


def close(first: Tensor, second: Tensor) -> bool:
    """Tell whether two tensors are equal up to the order of sums; whole numbers must be equal."""
    if not first.is_floating_point():
        return torch.equal(first, second)
    largest = float(second.nan_to_num(0.0, 0.0, 0.0).abs().max()) if second.numel() else 0.0
    return torch.allclose(first, second, rtol=0.0, atol=_RELATIVE * largest + _TINY, equal_nan=True)


@contextmanager
def image_by_image() -> Iterator[None]:
    """Hold convolutions on the CPU to one way of computing an image, whatever the number of images beside it.

    oneDNN and NNPACK choose their kernels by the size of a batch as well; on some processors those of 16 and of 32 images differ
    by so much that ten steps later a bias is off by .2 % of itself.
    """
    with ExitStack() as switched_off:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of GPUs that this says nothing about
            switched_off.enter_context(torch.backends.mkldnn.flags(enabled=False))
            switched_off.enter_context(torch.backends.nnpack.flags(enabled=False))
        yield
