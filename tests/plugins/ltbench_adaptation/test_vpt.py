from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.models import VisionTransformer
from timm.models.beit import Beit
from timm.models.eva import Eva
from torch import Tensor

from ltbench.errors import UserError
from ltbench_adaptation.vpt import Prompted, VisualPrompts
from tests.support.transformers import BLOCKS, TOKENS, WIDTH, facts, images, make, tiny, trained_count, trained_names

COUNT = 3


def slowly(model: Any, prompts: list[Tensor], deep: bool, pool: str) -> Tensor:
    """Return the pooled output where prompts stand between the class token and the patches, as the paper draws it."""
    tokens = model.patch_embed(images()).flatten(1, -2)
    tokens = torch.cat([model.cls_token.expand(len(tokens), -1, -1), tokens], dim=1) + model.pos_embed
    for number, block in enumerate(model.blocks):
        if deep or not number:
            patches = tokens[:, 1:] if not number else tokens[:, 1 + COUNT:]
            tokens = torch.cat([tokens[:, :1], prompts[number].expand(len(tokens), -1, -1), patches], dim=1)
        tokens = block(tokens)
    if pool == "token":
        return model.norm(tokens)[:, 0]
    return model.fc_norm(tokens[:, 1 + COUNT:].mean(dim=1))


@pytest.mark.parametrize("pool", ["token", "avg"])
@pytest.mark.parametrize("deep", [True, False], ids=["deep", "shallow"])
def test_prompts_stand_beside_the_tokens_and_in_no_pooling(deep: bool, pool: str) -> None:
    torch.manual_seed(0)
    plain = tiny(global_pool=pool)
    model = VisionTransformer(8, 2, 1, 0, embed_dim=WIDTH, depth=BLOCKS, num_heads=4, mlp_ratio=2.0, global_pool=pool)
    model.load_state_dict(plain.state_dict())
    seen: list[int] = []
    for block in model.blocks:
        block.attn.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[1]))
    changed = VisualPrompts(facts(), prompts=COUNT, deep=deep).build_backbone(make(model)).eval()
    prompts = [part.prompts for part in model.modules() if isinstance(part, Prompted)]
    assert [tuple(each.shape) for each in prompts] == [(COUNT, WIDTH)] * (BLOCKS if deep else 1)
    bound = (6 / (4 + WIDTH)) ** 0.5  # patches of 2 x 2 in one channel
    assert all(0.8 * bound < float(each.detach().abs().max()) <= bound for each in prompts)
    seen.clear()
    torch.testing.assert_close(changed(images()), slowly(plain, prompts, deep, pool), rtol=1e-4, atol=1e-5)
    assert seen == [TOKENS + COUNT] * BLOCKS
    assert not torch.allclose(changed(images()), plain(images()), atol=1e-3)
    assert trained_count(changed) == COUNT * WIDTH * len(prompts)
    assert all(name.endswith(".prompts") for name in trained_names(changed))


def test_positions_that_rotate_stay_those_of_the_image() -> None:
    model = Eva(8, 2, 1, 0, embed_dim=WIDTH, depth=2, num_heads=4, use_rot_pos_emb=True).eval()
    expected = model.forward_features(images())
    VisualPrompts(facts(), prompts=COUNT).build_backbone(make(model)).eval()
    tokens, rotation = model._pos_embed(model.patch_embed(images()))
    hidden = torch.zeros(1, 1, TOKENS + COUNT, TOKENS + COUNT)
    hidden[..., :COUNT] = -torch.inf  # nobody looks at a prompt, so that all must be as without
    for block in model.blocks:
        tokens = block(tokens, rope=rotation, attn_mask=hidden)
    torch.testing.assert_close(model.norm(tokens), expected, rtol=1e-4, atol=1e-5)


def test_positions_that_are_bound_to_the_number_of_tokens_are_refused() -> None:
    model = Beit(8, 2, 1, 0, embed_dim=WIDTH, depth=2, num_heads=4, use_rel_pos_bias=True)
    with pytest.raises(UserError, match="'vpt' cannot change the blocks of a Beit: ") as caught:
        VisualPrompts(facts()).build_backbone(make(model))
    assert "\n" not in str(caught.value)
