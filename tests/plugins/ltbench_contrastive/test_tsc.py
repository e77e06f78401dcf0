from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ltbench.backbones.cifar_resnet import CifarResNet
from ltbench.errors import UserError
from ltbench.method.context import Bank, Context
from ltbench.method.factories import HeadFactory
from ltbench.method.stack import Stack
from ltbench.method.values import Seen
from ltbench.planning.papers import apply_papers
from ltbench.registry.discovery import load_registry
from ltbench.terms.task import Task
from ltbench.training.engine import Engine
from ltbench_contrastive.k_positive import KPositiveContrast
from ltbench_contrastive.targets import match, moved, spread
from ltbench_contrastive.tsc import TargetedContrast, targeted_losses
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.stages import PROTOCOL, facts

COUNTS = [40, 30, 22, 16, 12, 9, 6, 4, 3, 2]
SIZE = 8


def test_by_hand() -> None:
    """Beside kcl's 1, 1 (drawn) and 0 the own target says 0, another 1: T = ln(3 e + 2) = 2.317951, (2 T - 2 + T / 2) / 3."""
    own, others = torch.ones(1), torch.tensor([[1.0, 0.0]])
    losses = targeted_losses(own, others, torch.tensor([[True, False]]), torch.tensor([[0.0, 1.0]]), torch.tensor([0]), 0.5)
    assert float(losses) == pytest.approx((2.5 * 2.317951 - 2) / 3, abs=1e-6)


@pytest.mark.parametrize(("dim", "count", "largest"), [(4, 5, -0.25), (8, 3, -0.5), (2, 4, 0.0), (3, 6, 0.0), (5, 10, 0.0)])
def test_targets_are_as_far_apart_as_they_can_be(dim: int, count: int, largest: float) -> None:
    """A simplex, a square, an octahedron, a cross of five dimensions."""
    targets = spread(dim, count, 0)
    cosines = (targets @ targets.T).fill_diagonal_(-2)
    torch.testing.assert_close(targets.norm(dim=1), torch.ones(count))
    assert float(cosines.max()) == pytest.approx(largest, abs=0.01)
    assert not torch.equal(targets, spread(dim, count, 1))


@pytest.mark.parametrize("met", [5, 3])
def test_classes_are_matched_as_trying_all_would(met: int) -> None:
    """Also while some have no center: what the others have in common then tells for some of the targets."""
    for _ in range(10):
        centers, targets = F.normalize(torch.randn(5, 3), dim=1), F.normalize(torch.randn(5, 3), dim=1)
        centers[met:] = 0
        best = max(itertools.permutations(range(5), met), key=lambda order: float((centers[:met] * targets[list(order)]).sum()))
        assert match(centers, targets, torch.arange(5)).tolist() == [*best, *[-1] * (5 - met)]


def test_classes_without_a_center_have_no_target() -> None:
    """What all centers share is nothing here; a class alone is matched as any other."""
    targets, nobody = torch.eye(4), torch.full((4,), -1)
    centers = torch.stack([targets[2], torch.zeros(4), targets[0], torch.zeros(4)])
    assert match(centers, targets, nobody).tolist() == [2, -1, 0, -1]
    assert torch.equal(match(torch.zeros(4, 4), targets, nobody), nobody)
    assert torch.equal(match(torch.full((4, 4), torch.nan), targets, nobody), nobody)


def test_centers_move_to_the_mean_direction() -> None:
    """Two images at right angles: halfway between; a class without a center begins there; one without images stays."""
    centers = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    rows, labels = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1, 1])
    found = moved(centers, rows, labels, 0.75)
    root, length = math.sqrt(0.5), math.hypot(0.75, 0.25)
    torch.testing.assert_close(found, torch.tensor([[0.75 / length, 0.25 / length], [root, root], [0.0, 1.0]]))


def test_the_rarest_class_is_as_far_from_others_as_the_largest() -> None:
    """The paper's point: class centers end evenly spread, whatever the imbalance."""
    labels = torch.tensor([0] * 60 + [1] * 6 + [2] * 2)
    targets = spread(2, 3, 0)
    points = torch.randn(len(labels), 2).requires_grad_()
    optimizer = torch.optim.Adam([points], lr=0.05)
    for _ in range(300):
        unit = F.normalize(points, dim=1)
        scores = unit @ unit.detach().T / 0.2
        positive = (labels[:, None] == labels) & ~torch.eye(len(labels), dtype=torch.bool)
        loss = targeted_losses(torch.full_like(points[:, 0], 5.0), scores, positive, unit @ targets.T / 0.2, labels, 20.0).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    means = F.normalize(torch.zeros(3, 2).index_add_(0, labels, F.normalize(points.detach(), dim=1)), dim=1)
    for first, second in itertools.combinations(means, 2):
        assert float(first @ second) == pytest.approx(-0.5, abs=0.1)


def below(**options: Any) -> Engine:
    return first_stage([KPositiveContrast(facts(COUNTS, 16), **{"dim": 5, **options})])


def above(previous: Engine, **options: Any) -> tuple[Engine, TargetedContrast]:
    known = facts(COUNTS, 16)
    method = TargetedContrast(known, **{"dim": 5, "temperature": 0.3, "positives": None, **options})
    stack = Stack([method], 2)
    bank = Bank(torch.empty(0, 16), torch.empty(0, dtype=torch.int64))
    engine = Engine(CifarResNet(14, width=4, channels=1), method.build_head(HeadFactory(nn.Linear, 16, 10)), stack,
                    lambda engine: Context(engine, stack, known, PROTOCOL, previous, torch.device("cpu"),
                                           lambda split, view: bank, lambda rows: rows))
    method.setup(engine.ctx)
    return engine.eval(), method


def test_it_goes_on_where_the_stage_before_ended(digits_batch: tuple[Tensor, Tensor]) -> None:
    previous = below()
    engine, method = above(previous)
    for mine, theirs in ((engine.backbone, previous.backbone), (engine.head, previous.head)):
        torch.testing.assert_close(dict(mine.state_dict()), dict(theirs.state_dict()), rtol=0, atol=0)
    torch.testing.assert_close(method.key_encoder(digits_batch[0][:3]), previous.head.projector(  # type: ignore[operator]
        previous.backbone(digits_batch[0][:3])))
    with pytest.raises(UserError, match="dim and projection as they are there"):
        above(below(dim=7))


def test_two_steps_by_a_slow_loop(digits_batch: tuple[Tensor, Tensor]) -> None:
    """In the first step the queue is empty and no class has a target; in the second there are eight keys, and some have."""
    images, labels = digits_batch
    engine, method = above(below(), target_weight=0.7)
    remembered: list[tuple[Tensor, int]] = []
    for start in (0, 20):
        rows = slice(start, start + SIZE)
        batch = dataclasses.replace(batch_of(images[rows], labels[rows]), views=[images[rows], images[40:40 + SIZE]])
        matched, centers = method.matched.clone(), method.centers.clone()
        with torch.no_grad():
            queries: Tensor = engine.head.projector(engine.backbone(images[rows]))  # type: ignore[operator]
            keys = method.key_encoder(batch.views[1])
        losses = []
        for query, key, label in zip(queries, keys, batch.labels.tolist(), strict=True):
            own, targets = float(query @ key) / 0.3, [float(query @ target) / 0.3 for target in method.targets]
            scored = [(float(query @ other) / 0.3, member == label) for other, member in remembered]
            total = math.log(sum(map(math.exp, [own, *targets, *(score for score, _ in scored)])))
            pulls = [total - own, *(total - score for score, same in scored if same)]
            if matched[label] < 0:
                losses.append(sum(pulls) / len(pulls))
            else:
                losses.append((sum(pulls) + 0.7 * (total - targets[int(matched[label])])) / (len(pulls) + 1))
        at_epoch(engine, 0)
        _, logs, seen = engine({"main": batch})
        assert float(logs["contrast"]) == pytest.approx(sum(losses) / SIZE, rel=1e-5)
        engine.after_step(Seen.of(seen))
        remembered = list(zip(keys, batch.labels.tolist(), strict=True)) + remembered
        torch.testing.assert_close(method.centers, moved(centers, queries, batch.labels, 0.9))
        assert torch.equal(method.matched, match(method.centers, method.targets, matched))
        assert set(method.matched[batch.labels].tolist()) <= set(range(10))


@pytest.mark.parametrize(("every", "moves"), [(0, [False, False]), (1, [True, True]), (2, [False, True])])
def test_when_classes_are_matched(digits_batch: tuple[Tensor, Tensor], every: int, moves: list[bool]) -> None:
    images, labels = digits_batch
    engine, method = above(below(), match_every=every)
    method.matched.copy_(torch.arange(10))
    for move in moves:
        method.centers.copy_(method.targets[method.matched].flip(0))  # so that another match is better
        before = method.matched.clone()
        at_epoch(engine, 0)
        _, _, seen = engine({"main": dataclasses.replace(batch_of(images[:4], labels[:4]), views=[images[:4], images[4:8]])})
        engine.after_step(Seen.of(seen))
        assert torch.equal(method.matched, before) is not move
    if not every:
        method.end_epoch(engine.ctx)
        assert not torch.equal(method.matched, before)


def test_the_rate_begins_anew_and_the_epochs_add_up() -> None:
    """Of the paper's 400 epochs 200 are of kcl: here each is a stage with the schedule of a first one."""
    assert Stack([TargetedContrast(facts(COUNTS))], 2).ranks_as == 1
    stages = apply_papers("tsc", Task("imagenet-lt", None), load_registry(strict=False), {})
    assert [(stage.text, stage.protocol["epochs"], stage.protocol["lr"]) for stage in stages] == [
        ("kcl", 200, 0.1), ("tsc", 200, 0.1)]
