from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ltbench_experts.divergence import mutual_divergence


def test_by_hand() -> None:
    # Experts say (log 3, 0) and (0, log 3), thus (3/4, 1/4) and (1/4, 3/4): KL is 3/4 log 3 - 1/4 log 3 each way.
    logits = torch.tensor([[[math.log(3), 0.0], [0.0, math.log(3)]]])
    torch.testing.assert_close(mutual_divergence(logits), torch.tensor([math.log(3)]))


def slow(logits: Tensor) -> Tensor:
    """Return the sum over ordered pairs, one after the other."""
    experts = logits.unbind(dim=1)
    return torch.stack([F.kl_div(q.log_softmax(dim=1), p.softmax(dim=1), reduction="none").sum(dim=1)
                        for p in experts for q in experts if p is not q]).sum(dim=0)


def test_value_and_gradient_by_a_slow_sum() -> None:
    logits, weights = (2 * torch.randn(6, 4, 5)).requires_grad_(), torch.randn(6)
    torch.testing.assert_close(mutual_divergence(logits), slow(logits), atol=1e-4, rtol=1e-4)
    (found,) = torch.autograd.grad(mutual_divergence(logits) @ weights, logits)
    (expected,) = torch.autograd.grad(slow(logits) @ weights, logits)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_none_where_experts_agree_and_steps_draw_them_together() -> None:
    agreed = torch.randn(4, 1, 6).expand(4, 3, 6).clone().requires_grad_()
    torch.testing.assert_close(mutual_divergence(agreed), torch.zeros(4), atol=1e-5, rtol=0)
    (gradient,) = torch.autograd.grad(mutual_divergence(agreed).sum(), agreed)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-5, rtol=0)
    logits = torch.randn(4, 3, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(mutual_divergence(logits).sum(), logits)
    assert (mutual_divergence(logits - 0.05 * gradient) < mutual_divergence(logits)).all()


def test_sure_experts_give_numbers() -> None:
    logits = torch.tensor([[[900.0, -900.0], [0.0, 0.0]]], requires_grad=True)
    (gradient,) = torch.autograd.grad(mutual_divergence(logits).sum(), logits)
    assert mutual_divergence(logits).isfinite().all() and gradient.isfinite().all()
