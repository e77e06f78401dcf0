from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from ltbench.data.digits import DigitsLT
from ltbench.data.loader import FeatureLoader, Loader, evaluation_batches
from ltbench.data.parts import Parts, TensorImages
from ltbench.errors import UserError
from tests.support.views import view_of

CROP = view_of(("crop",), 1, DigitsLT.mean, DigitsLT.std)
PLAIN = view_of((), 1, DigitsLT.mean, DigitsLT.std)
INDICES = torch.arange(3, 203, 2)  # 100 images of the training part
ORDER = np.random.default_rng(0).permutation(100)


@dataclass(frozen=True, eq=False)
class Lazy:
    """Serve images one call at a time, as a source on disk does, and count the calls."""

    whole: TensorImages
    asked: list[int]

    @property
    def labels(self) -> Tensor:
        return self.whole.labels

    def fetch(self, indices: Tensor) -> Tensor:
        self.asked.append(len(indices))
        return torch.stack([self.whole.pixels[int(i)] for i in indices])


def whole(parts: Parts) -> TensorImages:
    assert isinstance(parts.train, TensorImages)
    return parts.train


def test_batches_hold_what_the_order_says(digits: Parts) -> None:
    source = whole(digits)
    batches = list(Loader(source, INDICES, [PLAIN], batch_size=32, seed=0).epoch(ORDER, 0))
    assert [len(parts) for parts in batches] == [1, 1, 1]
    for number, (batch,) in enumerate(batches):
        positions = ORDER[32 * number:32 * number + 32]
        images = source.pixels[INDICES[positions]]
        assert batch.indices.tolist() == positions.tolist()
        assert torch.equal(batch.labels, source.labels[INDICES[positions]])
        assert batch.images is not None and torch.equal(batch.images, PLAIN(images, positions, 0, 0))
        assert batch.views[0] is batch.images and len(batch.views) == 1
        assert len(batch.targets) == 1 and batch.targets[0][0] is batch.labels and batch.targets[0][1] == 1.0
        assert torch.equal(batch.global_labels, batch.labels)
        assert batch.chunks == 1 and batch.embedding is None


def joined(source: TensorImages, world: int, accumulation: int) -> list[Tensor]:
    """Return the global batches, put together over processes and steps, after checking what each part says of the whole."""
    loaders = [Loader(source, INDICES, [CROP], batch_size=24, seed=1, rank=rank, world=world, accumulation=accumulation)
               for rank in range(world)]
    result = []
    for ranks in zip(*(loader.epoch(ORDER, 2) for loader in loaders), strict=True):
        parts = [ranks[rank][step] for step in range(accumulation) for rank in range(world)]
        assert all(len(steps) == accumulation for steps in ranks)
        assert all(len(part.labels) == 24 // (world * accumulation) for part in parts)
        labels = torch.cat([part.labels for part in parts])
        assert all(torch.equal(part.global_labels, labels) and part.chunks == world * accumulation for part in parts)
        result.append(torch.cat([part.images for part in parts if part.images is not None]))
    return result


@pytest.mark.parametrize(("world", "accumulation"), [(2, 1), (1, 3), (2, 3)])
def test_cutting_a_batch_changes_no_pixel(digits: Parts, world: int, accumulation: int) -> None:
    expected, got = joined(whole(digits), 1, 1), joined(whole(digits), world, accumulation)
    assert len(expected) == len(got) == 4
    assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True))


def test_images_on_disk_come_out_the_same(digits: Parts) -> None:
    lazy = Lazy(whole(digits), [])
    resident = Loader(whole(digits), INDICES, [CROP], batch_size=40, seed=4).epoch(ORDER, 1)
    fetched = Loader(lazy, INDICES, [CROP], batch_size=40, seed=4).epoch(ORDER, 1)
    for (a,), (b,) in zip(resident, fetched, strict=True):
        assert a.images is not None and b.images is not None and torch.equal(a.images, b.images)
    assert lazy.asked == [40, 40]


def test_epochs_seeds_and_views_differ(digits: Parts) -> None:
    def first(seed: int, epoch: int) -> list[Tensor]:
        return next(Loader(whole(digits), INDICES, [CROP, CROP], batch_size=50, seed=seed).epoch(ORDER, epoch))[0].views

    views = [*first(0, 0), *first(0, 1), *first(1, 0)]
    assert all(not torch.equal(views[i], views[j]) for i in range(6) for j in range(i))
    assert torch.equal(first(0, 1)[1], views[3])


def test_a_repeated_image_comes_in_another_crop_each_time(digits: Parts) -> None:
    batch = next(Loader(whole(digits), INDICES, [CROP], batch_size=64, seed=0).epoch(np.full(64, 7), 0))[0]
    assert batch.images is not None
    distinct = {image.numpy().tobytes() for image in batch.images}
    assert len(distinct) == 9  # all crops that padding 1 allows
    once = next(Loader(whole(digits), INDICES, [CROP], batch_size=1, seed=0).epoch([7], 0))[0]
    assert once.images is not None and torch.equal(once.images[0], batch.images[0])


def test_short_epoch_is_one_batch(digits: Parts) -> None:
    batches = list(Loader(whole(digits), INDICES, [PLAIN], batch_size=64, seed=0, accumulation=2).epoch([4, 5, 6], 0))
    assert [[part.indices.tolist() for part in parts] for parts in batches] == [[[4], [5]]]


def test_refusals(digits: Parts) -> None:
    with pytest.raises(UserError, match="batch size must divide"):
        Loader(whole(digits), INDICES, [PLAIN], batch_size=10, seed=0, world=3)
    with pytest.raises(ValueError, match="at least one augmentation"):
        Loader(whole(digits), INDICES, [], batch_size=10, seed=0)
    with pytest.raises(ValueError, match=r"shapes \(n, D\) and \(n,\), got \(4, 2\) and \(3,\)"):
        FeatureLoader(torch.zeros(4, 2), torch.zeros(3, dtype=torch.int64), batch_size=2)


def test_features_are_cut_like_images(digits: Parts) -> None:
    source = whole(digits)
    labels = source.labels[INDICES]
    features = torch.arange(100.0)[:, None] * torch.tensor([1.0, -1.0])
    for rank in range(2):
        images = Loader(source, INDICES, [PLAIN], batch_size=20, seed=0, rank=rank, world=2, accumulation=2).epoch(ORDER, 0)
        cached = FeatureLoader(features, labels, batch_size=20, rank=rank, world=2, accumulation=2).epoch(ORDER, 0)
        for ours, theirs in zip(cached, images, strict=True):
            for a, b in zip(ours, theirs, strict=True):
                assert torch.equal(a.indices, b.indices) and torch.equal(a.labels, b.labels)
                assert torch.equal(a.global_labels, b.global_labels) and a.chunks == b.chunks == 4
                assert a.images is None and a.views == []
                assert a.embedding is not None and torch.equal(a.embedding, features[a.indices])


@pytest.mark.parametrize("world", [1, 3, 7])
def test_evaluation_takes_each_image_once(digits: Parts, world: int) -> None:
    seen = []
    for rank in range(world):
        ranks = []
        for positions, pixels in evaluation_batches(digits.test, INDICES, 16, "cpu", rank, world):
            assert len(positions) <= 16
            assert torch.equal(pixels, digits.test.fetch(INDICES[positions]))
            ranks.extend(positions.tolist())
        assert ranks == list(range(rank, 100, world))
        seen.extend(ranks)
    assert sorted(seen) == list(range(100))


def test_a_process_without_images_yields_nothing(digits: Parts) -> None:
    assert list(evaluation_batches(digits.test, INDICES[:2], 16, "cpu", 2, 3)) == []
