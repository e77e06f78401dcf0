from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from ltbench_hyperspherical.etf import SimplexETF
from ltbench_hyperspherical.fixed import UnitPrototypes
from ltbench_hyperspherical.hpn import HypersphericalPrototypeNetwork, separate
from ltbench_hyperspherical.spread import largest_cosine, smallest_cosine
from tests.plugins.ltbench_hyperspherical.test_hyperspherical import first_stage
from tests.support.stages import facts


@pytest.mark.parametrize("dim", [None, 5, 6, 40])
def test_every_pair_of_a_simplex_has_one_angle(dim: int | None) -> None:
    engine = first_stage(SimplexETF(facts([9, 5, 4, 3, 2, 1], feature_dim=3), dim=dim))
    prototypes = engine.ctx.classifier(UnitPrototypes).prototypes
    assert prototypes.shape == (6, dim or 6)
    cosines = (prototypes @ prototypes.T)[~torch.eye(6, dtype=torch.bool)]
    torch.testing.assert_close(cosines, torch.full((30,), -1 / 5))


def test_too_few_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"dim must be >= 99, the number of classes - 1, to hold a simplex, got 64"):
        SimplexETF(facts([1] * 100), dim=64)
    assert SimplexETF(facts([1] * 100), dim=99).dim == 99


def test_its_loss_is_the_dot_regression() -> None:
    method = SimplexETF(facts([1] * 4), dim=4)
    engine = first_stage(method)
    embedding, label = torch.randn(1, 2), 2
    output = engine.output(embedding)
    # (w h - sqrt(E_W E_H))^2 / (2 sqrt(E_W E_H)) with features of length sqrt(E_H) and vertices of sqrt(E_W), all 1
    dot = float(F.normalize(output.features[0], dim=0) @ engine.ctx.classifier(UnitPrototypes).prototypes[label])
    assert float(method.criterion(output.logits, torch.tensor([label]))) == pytest.approx((dot - 1) ** 2 / 2, rel=1e-5)
    assert method.measure(engine.ctx) == {"largest_cosine": pytest.approx(-1 / 3)}


def test_hpn_by_hand() -> None:
    method = HypersphericalPrototypeNetwork(facts([1] * 3))
    losses = method.criterion(torch.tensor([[0.5, 0.1, -1.0], [0.0, 0.2, -1.0]]), torch.tensor([0, 2]))
    torch.testing.assert_close(losses, torch.tensor([0.25, 4.0]))  # (1 - cos)^2


def test_hpn_pushes_neighbors_apart() -> None:
    start = F.normalize(torch.randn(100, 50, generator=torch.Generator().manual_seed(0)), dim=1)
    pushed = separate(50, 100, 0)
    assert largest_cosine(pushed) < largest_cosine(start) - 0.2
    # What its objective leaves open: pairs that are far apart already may go on to any angle (table 7).
    assert smallest_cosine(pushed) < -0.5
    torch.testing.assert_close(pushed.norm(dim=1), torch.ones(100))


def test_three_in_a_plane_are_a_triangle() -> None:
    assert largest_cosine(separate(2, 3, 0)) == pytest.approx(math.cos(2 * math.pi / 3), abs=0.05)
