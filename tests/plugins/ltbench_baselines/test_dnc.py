from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ltbench.method.values import Seen
from ltbench_baselines.dnc import DeepNearestCentroids, SubCentroids, shared_out
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.stages import facts

COUNTS = [40, 30, 22, 16, 12, 9, 6, 4, 3, 2]


def slow_plan(scores: list[list[float]]) -> list[int]:
    """One class: Sinkhorn in plain Python."""
    plan = [[math.exp((s - 1) / 0.05) for s in row] for row in scores]
    for _ in range(3):
        totals = [sum(column) for column in zip(*plan, strict=True)]
        plan = [[p / t for p, t in zip(row, totals, strict=True)] for row in plan]
        plan = [[p / sum(row) for p in row] for row in plan]
    return [row.index(max(row)) for row in plan]


def test_scores_by_hand() -> None:
    """Cosines .6 and 1 with class 0, 0 and -1 with class 1: nearest 1 and 0, normalized over two classes: 1 and -1."""
    classifier = SubCentroids(2, 2, 2)
    classifier.centroids.copy_(torch.tensor([[[0.6, 0.8], [1.0, 0.0]], [[0.0, 1.0], [-1.0, 0.0]]]))
    torch.testing.assert_close(classifier(torch.tensor([[1.0, 0.0]])), torch.tensor([[1.0, -1.0]]), rtol=0, atol=1e-4)


def test_classes_are_shared_out_as_each_alone() -> None:
    scores, labels = torch.rand(30, 3) * 0.4, torch.arange(30) % 4
    given = shared_out(scores, labels, 6)
    for k in range(4):
        assert given[labels == k].tolist() == slow_plan(scores[labels == k].tolist())


def test_no_sub_centroid_takes_all() -> None:
    """All are nearest to the first one; the second has those that lose least by it."""
    far = torch.linspace(0, 0.2, 10)
    given = shared_out(torch.stack([0.9 - far * 0, 0.5 + far], dim=1), torch.zeros(10, dtype=torch.int64), 1)
    assert given.tolist() == [0] * 5 + [1] * 5


def test_centroids_move_by_hand() -> None:
    """Two right features at right angles, one wrong: .75 of the old and .25 of the mean direction, at length 1."""
    method = DeepNearestCentroids(facts([3, 3]), centroids=1, momentum=0.75, memory=0)
    centroids = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 0.0]])
    right = torch.tensor([True, True, False, False])
    moved = method.moved(centroids, features, torch.tensor([0, 0, 0, 1]), torch.zeros(4, dtype=torch.int64), right)
    root = math.sqrt(0.5)
    torch.testing.assert_close(moved[0, 0], F.normalize(torch.tensor([0.75 + 0.25 * root, 0.25 * root]), dim=0))
    torch.testing.assert_close(moved[1], centroids[1])


@pytest.mark.parametrize("memory", [0, 12])
def test_a_step_by_a_slow_loop(digits_batch: tuple[Tensor, Tensor], memory: int) -> None:
    images, labels = digits_batch
    engine = first_stage([DeepNearestCentroids(facts(COUNTS, 16), centroids=2, momentum=0.5, memory=memory)])
    classifier = engine.ctx.classifier(SubCentroids)
    remembered: list[tuple[Tensor, int]] = []
    moves = 0
    for start in (0, 20):
        batch = batch_of(images[start:start + 16], labels[start:start + 16])
        at_epoch(engine, 0)
        loss, _, seen = engine({"main": batch})
        with torch.no_grad():
            features = F.normalize(F.layer_norm(engine.backbone(batch.images), (16,)), dim=1)
            before = classifier.centroids.clone()
            cosines = torch.einsum("nd,ckd->nck", features, before).amax(dim=2)
            logits = F.layer_norm(cosines, (10,))
            torch.testing.assert_close(loss, F.cross_entropy(logits, batch.labels))
            everybody = list(zip(features, batch.labels.tolist(), strict=True)) + remembered
            expected = before.clone()
            for k in set(batch.labels.tolist()):
                rows = [row for row, member in everybody if member == k]
                given = slow_plan([[float(row @ before[k, j]) for j in range(2)] for row in rows])
                own = [i for i, label in enumerate(batch.labels.tolist()) if label == k]
                for j in range(2):
                    taken = [features[i] for n, i in enumerate(own) if given[n] == j and int(logits[i].argmax()) == k]
                    if taken:
                        moves += 1
                        mean = F.normalize(torch.stack(taken).sum(dim=0), dim=0)
                        expected[k, j] = F.normalize(before[k, j] + mean, dim=0)
            remembered = everybody[:memory]
        engine.after_step(Seen.of(seen))
        torch.testing.assert_close(classifier.centroids, expected)
    assert moves


def test_features_learn_and_centroids_do_not(digits_batch: tuple[Tensor, Tensor]) -> None:
    engine = first_stage([DeepNearestCentroids(facts(COUNTS, 16))])
    loss, _, _ = engine({"main": dataclasses.replace(batch_of(*(rows[:8] for rows in digits_batch)))})
    loss.backward()
    assert all(parameter.grad is not None for parameter in engine.backbone.parameters())
    assert "head.classifier.centroids" not in dict(engine.named_parameters())
