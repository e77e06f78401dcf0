from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ltbench_baselines.tau_norm import TauNormalization
from tests.support.stages import facts, later_stage, previous_stage, random_bank


def normalized(weight: Tensor, tau: float) -> Tensor:
    before = nn.Linear(weight.shape[1], weight.shape[0])
    before.weight.data = weight
    method = TauNormalization(facts([1] * len(weight), weight.shape[1]), tau=tau)
    engine = later_stage(method, random_bank(len(weight), weight.shape[1]), previous_stage(before, weight.shape[1], len(weight)))
    assert not engine.stack.trains
    assert not any(p.requires_grad for p in engine.parameters())
    classifier = engine.head.classifier
    assert isinstance(classifier, nn.Linear) and classifier.bias is None
    return classifier.weight


def test_by_hand() -> None:
    weight = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    torch.testing.assert_close(normalized(weight, 1.0), torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    torch.testing.assert_close(normalized(weight, 0.5), weight / torch.tensor([[5.0], [2.0]]).sqrt())
    torch.testing.assert_close(normalized(weight, 0.0), weight)


def test_at_one_directions_alone_decide() -> None:
    weight, features = torch.randn(5, 6) * torch.rand(5, 1) * 10, torch.randn(40, 6)
    cosines = F.cosine_similarity(features[:, None], weight[None], dim=2)
    assert torch.equal((features @ normalized(weight, 1.0).T).argmax(dim=1), cosines.argmax(dim=1))


def test_norms_keep_their_order_and_come_nearer() -> None:
    norms = torch.tensor([8.0, 4.0, 2.0, 1.0])
    weight = F.normalize(torch.randn(4, 6), dim=1) * norms[:, None]
    torch.testing.assert_close(normalized(weight, 0.7).norm(dim=1), norms**0.3)


def test_a_zero_vector_stays_zero() -> None:
    assert torch.equal(normalized(torch.tensor([[0.0, 0.0], [0.0, 2.0]]), 1.0)[0], torch.zeros(2))


def test_refuses_bad_values() -> None:
    with pytest.raises(ValueError, match="tau must be >= 0, got -0.5"):
        TauNormalization(facts([1, 1]), tau=-0.5)
