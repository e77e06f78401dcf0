from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torchvision.transforms.functional import InterpolationMode, five_crop, resize

from ltbench.data.batch import Batch
from ltbench.results.evaluate import predict_test
from ltbench.testing import scene
from ltbench.testing.subject import Subject
from ltbench.training.distributed import make_accelerator
from ltbench.training.kept_images import KeptTestImages
from ltbench_adaptation.tte import FiveCrops
from tests.support.transformers import facts


@pytest.mark.parametrize(("size", "expand", "enlarged"), [(224, 24, 248), (32, 24, 35), (8, 24, 9), (8, 224, 16)])
def test_crops_are_those_of_torchvision(size: int, expand: int, enlarged: int) -> None:
    images = torch.randn(2, 3, size, size)
    views = FiveCrops(facts(), expand=expand).test_views(cast(Any, SimpleNamespace()), images)
    larger = resize(images, [enlarged, enlarged], InterpolationMode.BILINEAR, antialias=True)
    expected = five_crop(larger, [size, size])
    assert len(views) == 5
    for crop in expected:  # each of them, in whatever order
        assert any(torch.allclose(view, crop, atol=1e-6) for view in views)


@pytest.mark.parametrize("text", ["ce+tte", "ce/tte", "ce/ncm+tte", "ce/post_la+tte", "ce+tte/post_la"])
def test_logits_are_averaged_over_crops_in_evaluation_alone(text: str) -> None:
    subject = Subject("ce")
    with_crops, plain = subject.train_anew(text), subject.train_anew(text.replace("+tte", "").replace("/tte", ""))
    for name, value in plain.engine.trained.trained_state().items():
        assert torch.equal(with_crops.engine.trained.trained_state()[name], value), name
    data = subject.usual.data
    images = torch.randn(5, 1, 8, 8)
    total = torch.zeros(5, 10)
    for view in FiveCrops(facts()).test_views(with_crops.engine.ctx, images):
        total += plain.engine.predict(view)
    torch.testing.assert_close(with_crops.engine.predict(images), total / 5, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(with_crops.logits, plain.logits)
    embedding = plain.engine.trained.embed(images)
    batch = Batch(None, data.labels[:5], [], torch.arange(5), data.labels[:5], [], embedding, pieces=[])
    torch.testing.assert_close(with_crops.engine.predict(batch), plain.engine.predict(batch))  # features have no crops


def test_a_stage_with_crops_is_that_without() -> None:
    registry = scene.installed()
    protocol = scene.PROTOCOL.replace(backbone=scene.TRANSFORMER)
    for with_crops, without in (("lift+tte", "lift"), ("lora+la+tte", "lora+la"), ("lift/ncm+tte", "lift/ncm")):
        plans = [scene.plan(text, registry, protocol=protocol) for text in (with_crops, without)]
        assert plans[0].stages[-1].key == plans[1].stages[-1].key
        assert plans[0].key != plans[1].key


def test_crops_are_embedded_though_embeddings_of_whole_images_are_kept() -> None:
    subject = Subject("ce")
    engine = subject.train_anew("ce/ncm+tte").engine
    assert engine.has_test_views and not subject.train_anew("ce/ncm").engine.has_test_views
    accelerator = make_accelerator(cpu=True)
    kept = cast(KeptTestImages, SimpleNamespace())  # which would be read
    found = predict_test(engine, subject.usual.data, accelerator, flip=False, kept=kept)
    expected = predict_test(engine, subject.usual.data, accelerator, flip=False)
    assert (found.log_prob == expected.log_prob).all()
