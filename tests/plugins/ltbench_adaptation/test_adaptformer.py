from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import ResPostBlock
from torch import Tensor, nn

from ltbench.errors import UserError
from ltbench_adaptation.adaptformer import AdaptFormer, Beside
from tests.support.transformers import BLOCKS, WIDTH, facts, images, make, tiny, trained_count, trained_names


def bottlenecks(model: nn.Module) -> list[nn.Module]:
    return [part.bottleneck for part in model.modules() if isinstance(part, Beside)]


@pytest.mark.parametrize("norm", ["shared", "own", "none"])
@pytest.mark.parametrize("init_values", [None, 0.3], ids=["plain", "layer_scale"])
def test_formula_by_hand_and_nothing_changes_at_the_start(norm: str, init_values: float | None) -> None:
    model = tiny(init_values=init_values)
    block = model.blocks[0]
    attention, first, second, mlp = block.attn, block.norm1, block.norm2, block.mlp
    scales = (block.ls1, block.ls2)
    expected = model(images())
    changed = AdaptFormer(facts(), hidden=5, scale=0.3, norm=norm).build_backbone(make(model)).eval()  # type: ignore[arg-type]
    assert torch.equal(changed(images()), expected)
    own = 2 * WIDTH if norm == "own" else 0
    assert trained_count(changed) == BLOCKS * (WIDTH * 5 + 5 + 5 * WIDTH + WIDTH + own)
    assert all(".bottleneck." in name for name in trained_names(changed))

    added = bottlenecks(model)[0]
    with torch.no_grad():
        for parameter in added.parameters():
            parameter.copy_(torch.randn_like(parameter))
    tokens = torch.randn(2, 7, WIDTH)
    between = tokens + scales[0](attention(first(tokens)))
    read: Tensor = {"shared": second(between), "own": added.norm(between), "none": between}[norm]
    hidden = (read @ added.down.weight.T + added.down.bias).clamp(min=0)
    by_hand = between + scales[1](mlp(second(between))) + 0.3 * (hidden @ added.up.weight.T + added.up.bias)
    torch.testing.assert_close(model.blocks[0](tokens), by_hand)


def test_blocks_of_another_order_are_refused() -> None:
    model = tiny(block_fn=ResPostBlock)
    with pytest.raises(UserError, match="'adaptformer' cannot change the blocks of a VisionTransformer: they run in another "
                                        "order than attention, then a norm and a perceptron"):
        AdaptFormer(facts()).build_backbone(make(model))
