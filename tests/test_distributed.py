"""One, two and three processes, with and without accumulation, must do the same to one global batch."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from ltbench.data.randomness import derive_seed
from ltbench.data.samplers import InstanceBalanced
from ltbench.testing.processes import last_words, launch
from ltbench.training.files import load_tensors
from tests import distributed_worker
from tests.distributed_worker import BATCH, STEPS, TESTED

WORLDS = (1, 2, 3)
SPLITS = [(world, accumulation) for world in WORLDS for accumulation in (1, 2)]
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], State]:
    """Return what every way to split the batch came to: (processes, accumulation steps) -> tensors."""
    found: dict[tuple[int, int], State] = {}
    for world in WORLDS:
        folder = tmp_path_factory.mktemp(f"world-{world}")
        codes = launch([sys.executable, distributed_worker.__file__, str(folder)], world, folder, timeout=300)
        assert codes == [0] * world, last_words(folder, world)
        tensors, _ = load_tensors(folder / f"world-{world}.safetensors")
        for accumulation in (1, 2):
            prefix = f"{accumulation}:"
            found[world, accumulation] = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            found[world, accumulation] |= {name: value for name, value in tensors.items() if name.startswith("batch_norm:")}
    return found


@pytest.fixture(params=SPLITS[1:], ids=lambda split: f"{split[0]} processes, {split[1]} steps")
def split(request: pytest.FixtureRequest) -> tuple[int, int]:
    chosen: tuple[int, int] = request.param
    return chosen


def test_the_loss_is_normalized_over_the_global_batch(states: dict[tuple[int, int], State], split: tuple[int, int]) -> None:
    """Class weights from 1 to 10 make the parts of a batch weigh differently: averaging their means would show."""
    one, other = states[1, 1], states[split]
    trained = [name for name in one if name.startswith(("backbone.", "head."))]
    assert len(trained) == 6
    for name in trained:
        torch.testing.assert_close(other[name], one[name], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(other["curve"], one["curve"], atol=1e-4, rtol=1e-5)


def test_methods_see_the_global_batch_in_its_own_order(states: dict[tuple[int, int], State]) -> None:
    labels = distributed_worker.slice_of_digits().labels.numpy()
    generator = np.random.default_rng(derive_seed("order", 0, 1, "main", 0))
    order = InstanceBalanced().draw(labels, len(labels), generator)[:STEPS * BATCH].reshape(STEPS, BATCH)
    for state in states.values():
        np.testing.assert_array_equal(state["methods.recorder.indices"].numpy(), order)
        assert int(state["methods.recorder.step_count"]) == STEPS
        torch.testing.assert_close(state["methods.recorder.features"], states[1, 1]["methods.recorder.features"], atol=1e-6, rtol=1e-5)


def test_every_test_image_is_evaluated_once(states: dict[tuple[int, int], State], split: tuple[int, int]) -> None:
    one, other = states[1, 1], states[split]
    assert other["ids"].tolist() == list(range(TESTED))
    for name in ("labels", "argmax"):
        assert torch.equal(other[name], one[name])
    torch.testing.assert_close(other["log_prob"], one["log_prob"], atol=1e-5, rtol=1e-5)


def test_a_feature_bank_is_in_the_order_of_the_split(states: dict[tuple[int, int], State], split: tuple[int, int]) -> None:
    one, other = states[1, 1]["bank"], states[split]["bank"]
    assert len(one) == len(distributed_worker.slice_of_digits().labels)
    torch.testing.assert_close(other, one, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("world", "variance"), [(1, 1.0), (2, (1 + 4) / 2), (3, (1 + 4 + 16) / 3)])
def test_batch_norm_statistics_are_averaged(states: dict[tuple[int, int], State], world: int, variance: float) -> None:
    state = states[world, 1]
    torch.testing.assert_close(state["batch_norm:mean"], torch.full((2,), (world - 1) / 2))
    torch.testing.assert_close(state["batch_norm:var"], torch.full((2,), variance))
