"""One, two and three processes, with and without accumulation, must do the same to one global batch."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ltbench.data.randomness import derive_seed
from ltbench.data.samplers import InstanceBalanced
from ltbench.testing.processes import last_words, launch
from ltbench.training.files import load_tensors
from tests.support import distributed_worker
from tests.support.distributed_worker import BATCH, STEPS, TESTED

SLOW = pytest.param(3, marks=pytest.mark.slow)
State = dict[str, Tensor]


@functools.cache
def state(world: int, accumulation: int, root: Path) -> State:
    """Return what one way to split the global batch came to."""
    folder = root / f"world-{world}"
    if not folder.exists():
        folder.mkdir()
        if world == 1:
            distributed_worker.main(folder)
        else:
            codes = launch([sys.executable, distributed_worker.__file__, str(folder)], world, folder, seconds=300)
            assert codes == [0] * world, last_words(folder, world)
    tensors, _ = load_tensors(folder / f"world-{world}.safetensors")
    prefixes = (f"{accumulation}:", "batch_norm:")
    return {name.removeprefix(prefixes[0]): value for name, value in tensors.items() if name.startswith(prefixes)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worlds")


@pytest.fixture
def one(root: Path) -> State:
    return state(1, 1, root)


@pytest.fixture(params=[1, 2, SLOW], ids=lambda world: f"{world} processes")
def world(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=[1, 2], ids=lambda accumulation: f"{accumulation} steps")
def other(request: pytest.FixtureRequest, world: int, root: Path) -> State:
    return state(world, request.param, root)


def test_the_loss_is_normalized_over_the_global_batch(one: State, other: State) -> None:
    """Class weights from 1 to 10 make the parts of a batch weigh differently: averaging their means would show."""
    trained = [name for name in one if name.startswith(("backbone.", "head."))]
    assert len(trained) == 6
    for name in trained:
        torch.testing.assert_close(other[name], one[name], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(other["curve"], one["curve"], atol=1e-4, rtol=1e-5)


def test_methods_see_the_global_batch_in_its_own_order(one: State, other: State) -> None:
    labels = distributed_worker.slice_of_digits().labels.numpy()
    generator = np.random.default_rng(derive_seed("order", 0, 1, "main", 0))
    order = InstanceBalanced().draw(labels, len(labels), generator)[:STEPS * BATCH].reshape(STEPS, BATCH)
    np.testing.assert_array_equal(other["methods.recorder.indices"].numpy(), order)
    assert int(other["methods.recorder.step_count"]) == STEPS
    torch.testing.assert_close(other["methods.recorder.features"], one["methods.recorder.features"], atol=1e-6, rtol=1e-5)


def test_views_partners_teachers_queues_and_noise_do_not_see_how_a_batch_is_split(one: State, other: State) -> None:
    names = [name for name in one if name.startswith("follower.")]
    teacher = "follower.methods.follower.teacher.module.0.layers.0.weight"
    assert {teacher, "follower.methods.follower.queue", "follower.curve"} <= set(names)
    assert not torch.equal(one[teacher], one["follower.backbone.layers.0.weight"])  # it follows, a step behind
    for name in names:
        torch.testing.assert_close(other[name], one[name], atol=2e-6, rtol=1e-4)


def test_every_test_image_is_evaluated_once(one: State, other: State) -> None:
    assert other["ids"].tolist() == list(range(TESTED))
    for name in ("labels", "argmax"):
        assert torch.equal(other[name], one[name])
    torch.testing.assert_close(other["log_prob"], one["log_prob"], atol=1e-5, rtol=1e-5)


def test_a_feature_bank_is_in_the_order_of_the_split(one: State, other: State) -> None:
    assert len(one["bank"]) == len(distributed_worker.slice_of_digits().labels)
    torch.testing.assert_close(other["bank"], one["bank"], atol=1e-5, rtol=1e-5)


def test_every_test_image_is_counted_once_in_its_class(one: State, other: State) -> None:
    """A record's ``per_class``: recounted from single predictions here."""
    classes = torch.arange(10)
    assert torch.equal(other["total_of_all"], (one["labels"][:, None] == classes).sum(dim=0))
    assert torch.equal(other["correct_of_all"], ((one["labels"] == one["argmax"])[:, None] & (one["labels"][:, None] == classes))
                       .sum(dim=0))
    assert int(other["total_of_all"].sum()) == TESTED


@pytest.mark.parametrize("tested", [1, 2])
def test_fewer_test_images_than_processes_are_evaluated_once_each(tested: int, one: State, other: State) -> None:
    assert other[f"ids_of_{tested}"].tolist() == list(range(tested))
    assert int(other[f"total_of_{tested}"].sum()) == tested
    for name in (f"correct_of_{tested}", f"total_of_{tested}"):
        assert torch.equal(other[name], one[name])


@pytest.mark.parametrize("name", ["stored", "on_disk"])
def test_a_bank_made_in_chunks_is_the_same(name: str, one: State, other: State) -> None:
    torch.testing.assert_close(other[name], one["bank"], atol=1e-5, rtol=1e-5)


def test_batch_norm_statistics_are_averaged(world: int, root: Path) -> None:
    """Process r comes with mean r and variance 4 ** r."""
    found = state(world, 1, root)
    torch.testing.assert_close(found["batch_norm:mean"], torch.full((2,), {1: 0.0, 2: 0.5, 3: 1.0}[world]))
    torch.testing.assert_close(found["batch_norm:var"], torch.full((2,), {1: 1.0, 2: 2.5, 3: 7.0}[world]))
