from __future__ import annotations

import torch
from torch import nn

from ltbench.method.experts import ExpertBackbone, ExpertHead


def test_embeddings_stand_side_by_side_and_logits_are_averaged() -> None:
    first, second = nn.Linear(1, 2, bias=False), nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0], [2.0]]))
        second.weight.copy_(torch.tensor([[3.0], [-2.0]]))
    whole, shared = ExpertBackbone([first, second], 2), ExpertBackbone([first, second], 2, nn.Flatten())
    assert whole.feature_dim == 4
    torch.testing.assert_close(whole(torch.tensor([[1.0]])), torch.tensor([[1.0, 2.0, 3.0, -2.0]]))
    torch.testing.assert_close(shared(torch.tensor([[[[1.0]]]])), torch.tensor([[1.0, 2.0, 3.0, -2.0]]))
    # The first expert reads 1 and says (1, 2); the second reads 2 and says (6, -4).
    output = ExpertHead([first, second])(torch.tensor([[1.0, 2.0]]))
    torch.testing.assert_close(output.logits, torch.tensor([[3.5, -1.0]]))
    torch.testing.assert_close(output.extra["expert_logits"], torch.tensor([[[1.0, 2.0], [6.0, -4.0]]]))
    torch.testing.assert_close(output.extra["expert_features"], torch.tensor([[[1.0], [2.0]]]))
