from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from timm.models.beit import Beit
from timm.models.eva import Eva

from ltbench.errors import UserError
from ltbench_adaptation.lora import LowRank, LowRankAdaptation, LowRankLinear
from tests.support.transformers import BLOCKS, WIDTH, facts, images, make, tiny, trained_count, trained_names


def randomized(module: torch.nn.Module) -> torch.nn.Module:
    for part in module.modules():
        if isinstance(part, LowRank):
            torch.nn.init.normal_(part.up)
    return module


@pytest.mark.parametrize("weights", [("q", "v"), ("k",), ("q", "k", "v", "o")])
def test_with_b_at_zero_it_is_the_plain_network(weights: tuple[str, ...]) -> None:
    model = tiny()
    expected = model(images())
    changed = LowRankAdaptation(facts(), weights=weights).build_backbone(make(model)).eval()
    assert torch.equal(changed(images()), expected)
    assert not torch.allclose(randomized(changed)(images()), expected, atol=1e-2)
    assert trained_count(changed) == BLOCKS * len(weights) * (8 * WIDTH + WIDTH * 8)
    assert all(name.endswith((".down", ".up")) for name in trained_names(changed))


def test_forward_is_that_of_the_merged_weights_row_by_row() -> None:
    linear, products = torch.nn.Linear(6, 12), {0: LowRank(6, 4, 2, 0.5), 2: LowRank(6, 4, 2, 0.5)}
    layer = randomized(LowRankLinear(linear, products, 3))
    assert isinstance(layer, LowRankLinear)
    merged = linear.weight.detach().clone()
    for part, product in products.items():
        up, down = product.up.detach(), product.down.detach()
        for row in range(4):
            for column in range(6):
                merged[4 * part + row, column] += 0.5 * sum(float(up[row, r] * down[r, column]) for r in range(2))
    inputs = torch.randn(5, 3, 6)
    torch.testing.assert_close(layer(inputs), F.linear(inputs, merged, linear.bias))
    torch.testing.assert_close(layer.weight, merged)
    change = layer.weight - linear.weight
    assert torch.equal(change[4:8], torch.zeros(4, 6))  # keys stay
    assert [int(torch.linalg.matrix_rank(change[rows])) for rows in (slice(0, 4), slice(8, 12))] == [2, 2]


def test_rank_and_alpha_scale_the_product() -> None:
    for rank, alpha, scale in ((8, 8.0, 1.0), (4, 32.0, 8.0), (4, 1.0, 0.25)):
        model = tiny()
        LowRankAdaptation(facts(), rank=rank, alpha=alpha).build_backbone(make(model))
        product = model.blocks[0].attn.qkv.products["0"]
        assert product.scale == scale and product.down.shape == (rank, WIDTH)


@pytest.mark.parametrize("model", [
    Beit(8, 2, 1, 0, embed_dim=WIDTH, depth=2, num_heads=4),  # reads the weight of its projection itself
    Eva(8, 2, 1, 0, embed_dim=WIDTH, depth=2, num_heads=4, qkv_fused=False),  # three projections
    Eva(8, 2, 1, 0, embed_dim=WIDTH, depth=2, num_heads=4, use_rot_pos_emb=True),
], ids=["beit", "eva", "eva_rope"])
def test_other_transformers_of_timm(model: torch.nn.Module) -> None:
    expected = model.eval()(images())
    changed = LowRankAdaptation(facts(), weights=("q", "v", "o")).build_backbone(make(model)).eval()
    torch.testing.assert_close(changed(images()), expected)
    assert not torch.allclose(randomized(changed)(images()), expected, atol=1e-2)


def test_refusals_are_one_line() -> None:
    with pytest.raises(ValueError, match=r"weights must be one or more of q, k, v and o, each once, got \['q', 'q'\]"):
        LowRankAdaptation(facts(), weights=("q", "q"))
    with pytest.raises(UserError, match="backbone 'tiny' must be a vision transformer .such as .+: it has no blocks of "
                                        "attention in one row"):
        LowRankAdaptation(facts()).build_backbone(make(torch.nn.Conv2d(1, 2, 3)))
    model = tiny()
    model.blocks[1].attn.qkv = torch.nn.Sequential(model.blocks[1].attn.qkv)
    with pytest.raises(UserError, match="'lora' cannot change the blocks of a VisionTransformer: their Attention has no "
                                        "linear layer q_proj$"):
        LowRankAdaptation(facts()).build_backbone(make(model))
