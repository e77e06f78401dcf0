"""bf16 where a processor has no kernels for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ltbench.training.distributed import make_accelerator
from ltbench.training.rounding import has_bf16, rounded_products

HALF = torch.bfloat16


@pytest.fixture
def rounded() -> Iterator[None]:
    """Compute autocast's products of rounded numbers for a while, whatever the processor has."""
    library = rounded_products()
    with torch.autocast("cpu", HALF):
        yield
    library._destroy()


def test_numbers_by_hand(rounded: None) -> None:
    """bf16 has 8 bits: 1 + 1/256 lies between two numbers, and the even one is 1; 257 = 256 + 1 likewise becomes 256."""
    assert F.linear(torch.tensor([[1 + 1 / 256]]), torch.tensor([[2.0]])).item() == 2.0
    assert F.linear(torch.tensor([[1 + 1 / 128]]), torch.tensor([[2.0]])).item() == 2 + 1 / 64
    sums = F.linear(torch.ones(1, 257), torch.ones(1, 257))  # exact in fp32; a sum in bf16 would stop at 256 as well
    more = F.linear(torch.ones(1, 1024), torch.ones(1, 1024))  # where it would not come beyond 256
    assert sums.dtype == HALF and sums.item() == 256.0 and more.item() == 1024.0


@pytest.mark.parametrize("product", [
    lambda x, w: F.conv2d(x, w, padding=1),
    lambda x, w: F.conv2d(x, w, padding="same"),
    lambda x, w: F.conv2d(x, w, stride=2),
    lambda x, w: F.conv2d(x, w[:, :1], groups=6),
    lambda x, w: F.linear(x[..., 0].flatten(1), w.flatten()[:240].reshape(5, 48)),
    lambda x, w: x[0] @ w.flatten(2)[..., :8].transpose(1, 2),
], ids=["convolution", "same size", "stride", "groups", "linear", "matrices"])
def test_values_and_gradients_are_those_of_rounded_numbers(product: Callable[[Tensor, Tensor], Tensor], rounded: None) -> None:
    """Against float64, which autocast leaves alone: sums are exact, and all that is left to differ is the last rounding."""
    x, w = torch.randn(4, 6, 8, 8), torch.randn(6, 6, 3, 3)
    ours = [value.clone().requires_grad_() for value in (x, w)]
    exact = [value.to(HALF).double().requires_grad_() for value in (x, w)]
    result, expected = product(*ours), product(*exact)
    assert result.dtype == HALF and expected.dtype == torch.float64
    wanted = torch.randn(expected.shape).to(HALF)
    result.backward(wanted)
    expected.backward(wanted.double())
    for mine, other in [(result, expected), *((a.grad, b.grad) for a, b in zip(ours, exact, strict=True))]:
        assert mine is not None and other is not None
        torch.testing.assert_close(mine.double(), other, rtol=2**-8, atol=1e-5)  # half of the step between two numbers of bf16


def test_what_a_processor_lacks_is_provided_and_nothing_else() -> None:
    make_accelerator("bf16", cpu=True)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile, torch.autocast("cpu", HALF):
        torch.nn.Conv2d(16, 16, 3)(torch.ones(8, 16, 16, 16))  # torch has small ones done elsewhere
    used = {event.key for event in profile.key_averages()}
    assert "aten::mkldnn_convolution" in used and "aten::_slow_conv2d_forward" not in used
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as direct:
        F.conv2d(torch.ones(1, 4, 8, 8, dtype=HALF), torch.ones(4, 4, 3, 3, dtype=HALF))
    assert ("aten::mkldnn_convolution" in {event.key for event in direct.key_averages()}) == has_bf16()
