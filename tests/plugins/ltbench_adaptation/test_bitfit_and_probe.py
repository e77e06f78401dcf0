from __future__ import annotations

import pytest
import torch

import ltbench
from ltbench.errors import UserError
from ltbench.testing import scene
from ltbench.testing.subject import Subject
from ltbench_adaptation.bitfit import BitFit
from ltbench_adaptation.linear_probe import LinearProbe
from ltbench_adaptation.lora import LowRankAdaptation
from tests.support.transformers import WIDTH, facts, images, make, tiny, trained_count, trained_names


def test_biases_and_nothing_else() -> None:
    model = tiny()
    expected = model(images())
    changed = BitFit(facts()).build_backbone(make(model)).eval()
    assert torch.equal(changed(images()), expected)
    block = WIDTH + 3 * WIDTH + WIDTH + WIDTH + 2 * WIDTH + WIDTH  # norm1, qkv, proj, norm2, fc1, fc2
    assert trained_count(changed) == WIDTH + 2 * block + WIDTH == 1280  # patch embedding, two blocks, last norm
    assert trained_names(changed) == {name for name, _ in changed.named_parameters() if name.endswith(".bias")}
    assert len(trained_names(changed)) == 1 + 2 * 6 + 1


def test_training_moves_biases_alone() -> None:
    subject = Subject("bitfit")
    engine = subject.trained("bitfit").engine
    with scene.scratch() as folder:
        start, _, _ = subject.usual.build("bitfit", folder)
    before, after = start.backbone.state_dict(), engine.backbone.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved == {name for name in before if name.endswith("bias")}


def test_a_probe_leaves_weights_and_statistics_of_any_backbone() -> None:
    subject = Subject("linear_probe")
    engine = subject.trained("linear_probe").engine
    assert any("running_mean" in name for name in engine.backbone.state_dict())
    with scene.scratch() as folder:
        start, _, _ = subject.usual.build("linear_probe", folder)
    for name, value in start.backbone.state_dict().items():
        assert torch.equal(engine.backbone.state_dict()[name], value), name
    assert not torch.equal(start.head.classifier.weight, engine.head.classifier.weight)  # type: ignore[union-attr]
    assert trained_names(start.backbone) == set()


@pytest.mark.parametrize("method", [BitFit, LinearProbe, LowRankAdaptation])
def test_what_a_user_chose_to_train_is_not_undone_in_silence(method: type[ltbench.Method]) -> None:
    model = tiny()
    model.norm.requires_grad_(False)
    with pytest.raises(UserError, match=f"^'{method.name}' says itself what of a backbone is trained: --tune must be all, or "):
        method(facts()).build_backbone(make(model))
