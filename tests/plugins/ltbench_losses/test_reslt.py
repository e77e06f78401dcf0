from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from ltbench.data.batch import Batch
from ltbench.terms.task import Task
from ltbench.training.engine import Engine
from ltbench_baselines.rw import InverseFrequencyWeights
from ltbench_losses.reslt import ResidualHead, ResidualLearning
from tests.support.first_stages import first_stage
from tests.support.stages import facts, later_stage, random_bank, softmax_loss

COUNTS = [5, 40, 20, 30, 10]  # falling: classes 1, 3, 2, 4, 0
LABELS = [0, 1, 1, 2, 3, 4]
VALUES: dict[str, Any] = {"medium_from": 0.4, "tail_from": 0.8, "beta": 0.9}


def stage(**values: Any) -> Engine:
    return later_stage(ResidualLearning(facts(COUNTS, 3), **{**VALUES, **values}), random_bank(5, 3))


def batch(embedding: Tensor, first: int = 0, size: int = 6) -> Batch:
    everything = torch.tensor(LABELS)
    rows = slice(first, first + size)
    labels = everything[rows]
    return Batch(None, labels, [(labels, 1.0)], torch.arange(6)[rows], everything, embedding=embedding[rows], chunks=6 // size,
                 first=first)


def loss(engine: Engine, given: Batch) -> float:
    return float(engine.stack.methods[0].step(engine.ctx, {"main": given}).loss.detach())


def test_who_learns_what_by_hand() -> None:
    # 40 % of five classes are the two largest, 80 % leave the smallest.
    members = ResidualLearning(facts(COUNTS), **VALUES).members
    assert members.tolist() == [[1, 1, 1, 1, 1], [1, 0, 1, 0, 1], [1, 0, 0, 0, 0]]
    public = ResidualLearning(facts(list(range(100, 0, -1))))
    assert public.members.sum(dim=1).tolist() == [100, 65, 30]  # those from the 36th and from the 71st on


def test_loss_by_a_slow_loop() -> None:
    engine, embedding = stage(), torch.randn(6, 3)
    engine.head.branches[1].weight.data.fill_(0.5)  # type: ignore[union-attr]
    engine.head.branches[2].bias.data.fill_(-1.0)  # type: ignore[union-attr]
    branches = engine.head(embedding).extra["branch_logits"].tolist()
    members = ResidualLearning(facts(COUNTS), **VALUES).members.tolist()
    fused, joint, pairs = 0.0, 0.0, 0
    for rows, label in zip(branches, LABELS, strict=True):
        fused += softmax_loss([sum(values) for values in zip(*rows, strict=True)], label)
        for logits, member in zip(rows, members, strict=True):
            if member[label]:
                joint += softmax_loss(logits, label)
                pairs += 1
    assert pairs == 6 + 3 + 1
    assert loss(engine, batch(embedding)) == pytest.approx(0.9 * joint / pairs + 0.1 * fused / 6, rel=1e-5)


def test_prediction_is_the_sum_and_it_starts_as_three_times_one_branch() -> None:
    engine, embedding = stage(), torch.randn(4, 3)
    output = engine.head(embedding)
    torch.testing.assert_close(output.logits, output.extra["branch_logits"].sum(dim=1))
    torch.testing.assert_close(output.logits, 3 * output.extra["branch_logits"][:, 0])


def test_residual_branches_learn_from_their_classes_only() -> None:
    # Parameters are kept for medium and small classes, and small ones. With beta = 1 nothing else reaches them.
    for label, reached in ((1, [True, False, False]), (2, [True, True, False]), (0, [True, True, True])):
        engine = stage(beta=1.0)
        only = torch.full((6,), label)
        given = dataclasses.replace(batch(torch.randn(6, 3)), labels=only, targets=[(only, 1.0)], global_labels=only)
        engine.stack.methods[0].step(engine.ctx, {"main": given}).loss.backward()
        moved = [bool(branch.weight.grad is not None and branch.weight.grad.abs().sum() > 0)
                 for branch in engine.head.branches]  # type: ignore[union-attr]
        assert moved == reached


def test_parts_of_a_batch_give_the_whole_batchs_loss_with_class_weights_too() -> None:
    embedding = torch.randn(6, 3)
    for others in ((), (InverseFrequencyWeights(facts(COUNTS, 3)),)):
        engine = stage()
        engine.stack.methods.extend(others)
        whole = loss(engine, batch(embedding))
        assert sum(loss(engine, batch(embedding, first, 3)) for first in (0, 3)) / 2 == pytest.approx(whole, rel=1e-5)


def test_a_linear_branch_and_a_first_stage() -> None:
    engine = first_stage([ResidualLearning(facts(COUNTS, 16), form="linear")])
    assert isinstance(engine.head, ResidualHead)
    assert engine.predict(torch.rand(2, 1, 8, 8)).shape == (2, 5)


@pytest.mark.parametrize(("dataset", "ratio", "beta", "medium"), [
    ("cifar100-lt", 100.0, 0.995, 0.35), ("cifar100-lt", 50.0, 0.99, 0.35), ("cifar100-lt", 10.0, 0.72, 0.35),
    ("cifar10-lt", 100.0, 0.998, 0.2), ("cifar10-lt", 10.0, 0.96, 0.2)])
def test_beta_is_that_of_the_ratio(dataset: str, ratio: float, beta: float, medium: float) -> None:
    setting = ResidualLearning.paper(Task(dataset, ratio))
    assert setting is not None
    assert (setting.hyperparameters["beta"], setting.hyperparameters.get("medium_from", 0.35)) == (beta, medium)
    assert ResidualLearning.paper(Task(dataset, 20.0)) is None  # for which none is public


@pytest.mark.parametrize(("values", "message"), [
    ({"beta": 1.2}, r"beta must be in \[0, 1\], got 1.2"),
    ({"tail_from": 0.3}, "medium_from must be < tail_from, got 0.4 and 0.3")])
def test_refuses(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResidualLearning(facts(COUNTS), **{**VALUES, **values})
