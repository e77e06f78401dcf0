from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ltbench.errors import UserError
from ltbench.method.distances import cosine_distance, euclidean_distance, pairwise_squared_distance
from ltbench.method.heads import CosineClassifier, DistanceClassifier

Distance = Callable[[Tensor, Tensor], Tensor]


def slow_distance(x: Tensor, c: Tensor) -> Tensor:
    """Measure every pair by its differences, in float64."""
    return torch.stack([torch.stack([(a - b).square().sum().sqrt() for b in c.double()]) for a in x.double()])


def test_distances_by_hand() -> None:
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    c = torch.tensor([[3.0, 4.0], [0.0, 1.0], [-4.0, 3.0]])
    torch.testing.assert_close(pairwise_squared_distance(x, c), torch.tensor([[25.0, 1.0, 25.0], [0.0, 18.0, 50.0]]))
    torch.testing.assert_close(euclidean_distance(x, c), torch.tensor([[5.0, 1.0, 5.0], [0.0, 18**0.5, 50**0.5]]))
    torch.testing.assert_close(cosine_distance(x[1:], c), torch.tensor([[0.0, 0.2, 1.0]]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("distance", [pairwise_squared_distance, euclidean_distance, cosine_distance])
def test_gradients_of_distances(distance: object) -> None:
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    c = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(distance, (x, c))
    if distance is not euclidean_distance:
        assert torch.autograd.gradgradcheck(distance, (x, c))


def test_near_points_far_from_the_origin() -> None:
    c = 1000 + 0.1 * torch.randn(20, 64)
    x = c[:10] + 0.01 * torch.randn(10, 64)
    expected = slow_distance(x, c)
    torch.testing.assert_close(euclidean_distance(x, c).double(), expected, rtol=2e-3, atol=0)
    naive = (x.square().sum(1, keepdim=True) - 2 * x @ c.T + c.square().sum(1)).clamp_min(0).sqrt()
    assert (naive.double() / expected - 1).abs().max() > 0.5  # what centering saves us from


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_and_half_precision_do_not_reach_the_product(dtype: torch.dtype) -> None:
    x, c = 10 + torch.randn(6, 32), 10 + torch.randn(4, 32)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(euclidean_distance(x, c), euclidean_distance(x.clone(), c.clone()))
        torch.testing.assert_close(euclidean_distance(x, c).double(), slow_distance(x, c), rtol=1e-5, atol=0)
        assert cosine_distance(x, c).dtype == torch.float32
        prototypes, exact = c.clone().requires_grad_(), c.double().requires_grad_()
        euclidean_distance(x, prototypes).sum().backward()  # backward within autocast, too
    slow_distance(x, exact).sum().backward()
    assert prototypes.grad is not None and exact.grad is not None
    torch.testing.assert_close(prototypes.grad.double(), exact.grad, rtol=1e-4, atol=1e-5)
    result = euclidean_distance(x.to(dtype), c.to(dtype))
    assert result.dtype == torch.float32
    torch.testing.assert_close(result.double(), slow_distance(x.to(dtype), c.to(dtype)), rtol=1e-5, atol=0)


@pytest.mark.parametrize("features", [2, 64, 2048])
def test_gradient_is_zero_at_distance_zero_and_bounded_near_it(features: int) -> None:
    c = torch.randn(5, features, requires_grad=True)
    x = c.detach().clone()
    distance = euclidean_distance(x, c)
    assert torch.equal(distance.diagonal(), torch.zeros(5))
    distance.diagonal().sum().backward()
    assert c.grad is not None and torch.equal(c.grad, torch.zeros_like(c))
    for step in torch.logspace(-8, 0, 30):
        c.grad = None
        near = x + step * F.normalize(torch.randn_like(x), dim=1)
        euclidean_distance(near, c).diagonal().sum().backward()
        assert c.grad.norm(dim=1).max() < 1.5  # the true norm is 1; uncut rounding would make it hundreds


@pytest.mark.parametrize("distance", [pairwise_squared_distance, euclidean_distance, cosine_distance])
@pytest.mark.parametrize("classes", [1023, 1024, 2500])  # one part of the prototypes, and several
def test_many_prototypes_equal_differences_in_float64(distance: Distance, classes: int) -> None:
    """Also where a prototype lies 0.05 from its feature and everything 100 from the origin."""
    x = 100 + torch.randn(7, 6)
    c = 100 + torch.randn(classes, 6)
    c[:7] = x + 0.02 * torch.randn(7, 6)
    wanted, found = torch.randn(7, classes), [x.clone().requires_grad_(), c.clone().requires_grad_()]
    result = distance(*found)
    result.backward(wanted)
    wide = [x.double().requires_grad_(), c.double().requires_grad_()]
    a, b = (F.normalize(part, dim=1) if distance is cosine_distance else part for part in wide)
    squared = (a[:, None] - b).square().sum(dim=2)
    expected = {pairwise_squared_distance: squared, cosine_distance: squared / 2, euclidean_distance: squared.sqrt()}[distance]
    expected.backward(wanted.double())
    scale = expected.detach().abs().mean()
    torch.testing.assert_close(result.double(), expected, rtol=2e-3, atol=1e-6 * float(scale))
    for mine, exact in zip(found, wide, strict=True):
        assert mine.grad is not None and exact.grad is not None
        assert (mine.grad - exact.grad).norm() < 1e-3 * exact.grad.norm()


@pytest.mark.parametrize("distance", [pairwise_squared_distance, euclidean_distance, cosine_distance])
def test_prototypes_used_twice_and_no_features(distance: Distance) -> None:
    c = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)

    def twice(c: Tensor) -> Tensor:
        other = distance(c[:2] + 1, c)
        return other.sum() * distance(other @ c, c.flip(0)).sum()

    assert torch.autograd.gradcheck(twice, (c,))
    none = distance(torch.zeros(0, 4), c.float())
    assert none.shape == (0, 3)
    none.sum().backward()
    assert distance(torch.zeros(2, 4), torch.zeros(0, 4)).shape == (2, 0)


def test_a_product_in_half_precision_would_not_do() -> None:
    """Why autocast stays out: bfloat16 is 2 % off at distances as they are in a trained network, and single precision 1e-6."""
    c = torch.randn(50, 512).relu()
    x = c + 0.3 * torch.randn(50, 512)
    exact = slow_distance(x, c).diagonal()
    half = (x.square().sum(1) + c.square().sum(1) - 2 * (x.bfloat16() @ c.bfloat16().T).float().diagonal()).clamp_min(0).sqrt()
    assert (half / exact - 1).abs().max() > 0.01
    assert (euclidean_distance(x, c).diagonal() / exact - 1).abs().max() < 1e-5


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"\(B, D\) and \(C, D\), got \(2, 3\) and \(4, 5\)"):
        pairwise_squared_distance(torch.zeros(2, 3), torch.zeros(4, 5))


def test_cosine_classifier_by_hand() -> None:
    head = CosineClassifier(2, 3, scale=10.0)
    torch.testing.assert_close(head.weight.norm(dim=1), torch.ones(3))
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 5.0], [-1.0, -1.0]]))
    logits = head(torch.tensor([[3.0, 4.0]]))
    torch.testing.assert_close(logits, torch.tensor([[6.0, 8.0, -14 / math.sqrt(2)]]))
    assert [name for name, _ in head.named_parameters()] == ["weight"]
    with pytest.raises(UserError, match=r"scale must be > 0, got 0"):
        CosineClassifier(2, 3, scale=0)


def test_distance_classifier_by_hand() -> None:
    head = DistanceClassifier(2, 2, temperatures=True)
    with torch.no_grad():
        head.prototypes.copy_(torch.tensor([[0.0, 0.0], [3.0, 0.0]]))
    x = torch.tensor([[3.0, 4.0]])
    torch.testing.assert_close(head.temperatures, torch.ones(2))
    torch.testing.assert_close(head(x), torch.tensor([[-2.5, -2.0]]))
    with torch.no_grad():  # T = (4, 1/4): distances sqrt(9/4 + 64) and sqrt(64)
        head.log_temperatures.copy_(torch.tensor([4.0, 0.25]).log())
    torch.testing.assert_close(head(x), torch.tensor([[-(66.25**0.5) / 2, -4.0]]))


def test_squared_logits_are_a_softmax_classifier() -> None:
    """Section 3.3: weight c and bias -c.c/2, up to a term that all classes share."""
    head, x = DistanceClassifier(7, 4, distance="squared").double(), torch.randn(5, 7, dtype=torch.float64)
    linear = F.linear(x, head.prototypes, -0.5 * head.prototypes.square().sum(1))
    torch.testing.assert_close(head(x).softmax(1), linear.softmax(1))


@pytest.mark.parametrize("adjustment", [0.0, 0.25])
def test_gradient_norms_of_theorem_1(adjustment: float) -> None:
    """With eq. 1's factor: (1 - p) / 2 on the right prototype, p / 2 on another, at any distance."""
    head = DistanceClassifier(6, 4)
    x, prior = 50 * torch.randn(1, 6), torch.tensor([100.0, 30.0, 10.0, 1.0]).log()
    logits = head(x) + adjustment * prior
    F.cross_entropy(logits, torch.tensor([2])).backward()
    p = logits.softmax(1)[0].detach()
    expected = torch.where(torch.arange(4) == 2, 1 - p, p) / 2
    assert head.prototypes.grad is not None
    torch.testing.assert_close(head.prototypes.grad.norm(dim=1), expected, rtol=1e-3, atol=1e-6)

    prototypes = head.prototypes.detach().double().requires_grad_()
    slow = -0.5 * slow_distance(x, prototypes) + adjustment * prior.double()
    F.cross_entropy(slow, torch.tensor([2])).backward()
    assert prototypes.grad is not None
    torch.testing.assert_close(head.prototypes.grad.double(), prototypes.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("distance", ["euclidean", "squared", "cosine"])
@pytest.mark.parametrize("temperatures", [False, True])
def test_gradients_of_the_distance_classifier(distance: str, temperatures: bool) -> None:
    head = DistanceClassifier(5, 3, distance=distance, temperatures=temperatures).double()
    if head.log_temperatures is not None:
        torch.nn.init.normal_(head.log_temperatures)
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    parameters = dict(head.named_parameters())
    names = list(parameters)

    def logits(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(head, dict(zip(names, values, strict=True)), (x,))

    values = [value.detach().clone().requires_grad_() for value in parameters.values()]
    assert torch.autograd.gradcheck(logits, (x, *values))


def test_the_distance_classifier_saves_and_refuses() -> None:
    head, other = DistanceClassifier(5, 3, temperatures=True), DistanceClassifier(5, 3, temperatures=True)
    assert sorted(head.state_dict()) == ["log_temperatures", "prototypes"]
    other.load_state_dict(head.state_dict())
    x = torch.randn(2, 5)
    assert torch.equal(head(x), other(x))
    assert list(DistanceClassifier(5, 3).state_dict()) == ["prototypes"]
    with pytest.raises(UserError, match="unknown distance 'euclidian'; did you mean 'euclidean'"):
        DistanceClassifier(5, 3, distance="euclidian")


def test_no_temporary_of_batch_by_classes_by_features() -> None:
    """At iNaturalist's size such a tensor has 2 G elements; the largest one seen must be the prototypes or the logits."""
    seen: list[int] = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = func(*args, **(kwargs or {}))
            seen.extend(part.numel() for part in (result if isinstance(result, tuple) else (result,)) if isinstance(part, Tensor))
            return result

    head, x = DistanceClassifier(128, 500, temperatures=True), torch.randn(32, 128)
    with Watch():
        head(x).sum().backward()
    assert len(seen) > 10 and max(seen) == 500 * 128
