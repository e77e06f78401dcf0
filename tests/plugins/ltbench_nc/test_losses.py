from __future__ import annotations

import math

import pytest
import torch

from ltbench_nc.losses import between_loss, class_means_of, smallest_between_loss, within_loss, within_weights
from ltbench_nc.members import Members, members_of, sizes_in_batch
from tests.support.scenes import step_of

COUNTS = torch.tensor([50, 4, 2, 7])


def weights_of(members: Members, of_batch: bool) -> torch.Tensor:
    return within_weights(members, members.together.sum(dim=1) if of_batch else COUNTS[members.labels], len(COUNTS))


def slow_means(members: Members) -> dict[int, torch.Tensor]:
    """Return the share-weighted mean of each class, one by one."""
    (features,) = members.features
    found = {}
    for label in set(members.labels.tolist()):
        rows = [i for i in range(len(features)) if members.labels[i] == label and members.shares[i] > 0]
        if rows:
            total = sum(members.shares[i] * features[i] for i in rows)
            found[label] = total / sum(members.shares[i] for i in rows)
    return found


def slow_within(members: Members, of_batch: bool) -> float:
    """Return eq. 13 as two loops over classes and samples."""
    (features,) = members.features
    loss = 0.0
    for label, mean in slow_means(members).items():
        rows = [i for i in range(len(features)) if members.labels[i] == label]
        size = float(sum(members.shares[i] for i in rows)) if of_batch else int(COUNTS[label])
        loss += sum(float(members.shares[i]) * float((features[i] - mean).pow(2).sum()) for i in rows) / size / len(COUNTS)
    return loss


def random_members(*, mixed: bool) -> Members:
    features, labels = torch.randn(12, 3, dtype=torch.float64), torch.randint(3, (12,))
    partners = torch.randperm(12)
    targets = [(labels, 0.7), (labels[partners], torch.full((12,), 0.3, dtype=torch.float64))] if mixed else [(labels, 1.0)]
    return members_of(step_of(features, labels, targets))


def test_within_by_hand() -> None:
    # Class 1 (n = 4) at 0 and 2: mean 1, distances 1 and 1, so 2 / 4, over C = 4 classes. Class 2 (n = 2) alone: nothing.
    members = members_of(step_of(torch.tensor([[0.0], [2.0], [5.0]]), torch.tensor([1, 1, 2])))
    means = class_means_of(members, members.features[0])
    assert means.flatten().tolist() == [1, 1, 5]
    assert float(within_loss(members.features[0], means, weights_of(members, False))) == 0.125
    # By the sizes in the batch: (1 + 1) / 2 for class 1.
    assert float(within_loss(members.features[0], means, weights_of(members, True))) == 0.25


def test_a_class_weighs_by_one_over_its_size() -> None:
    spread = torch.tensor([[0.0], [2.0]])
    losses = []
    for label in range(4):
        members = members_of(step_of(spread, torch.tensor([label, label])))
        means = class_means_of(members, spread)
        losses.append(float(within_loss(spread, means, weights_of(members, False))))
    assert losses == pytest.approx([2 / 50 / 4, 2 / 4 / 4, 2 / 2 / 4, 2 / 7 / 4])


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("of_batch", [False, True])
def test_within_by_a_slow_loop(mixed: bool, of_batch: bool) -> None:
    members = random_members(mixed=mixed)
    means = class_means_of(members, members.features[0])
    fast = within_loss(members.features[0], means, weights_of(members, of_batch))
    assert float(fast) == pytest.approx(slow_within(members, of_batch))


@pytest.mark.parametrize("mixed", [False, True])
def test_between_sees_each_class_present_once(mixed: bool) -> None:
    members = random_members(mixed=mixed)
    means = slow_means(members)
    stacked = torch.stack(list(means.values()))
    fast = between_loss(class_means_of(members, members.features[0]), members.stand_for_class)
    torch.testing.assert_close(fast, between_loss(stacked, torch.ones(len(stacked), dtype=torch.bool)))


def test_the_one_smallest_angle() -> None:
    turns = torch.tensor([0.0, 2 * math.pi / 3, 4 * math.pi / 3])
    means, everyone = torch.stack([turns.cos(), turns.sin()], dim=1), torch.ones(3, dtype=torch.bool)
    assert float(between_loss(means, everyone)) == pytest.approx(-2.094395, abs=1e-5)
    assert float(smallest_between_loss(means, everyone)) == pytest.approx(-2.094395, abs=1e-5)
    # Two means lie opposite each other around their own mean. Of one, there is no angle.
    assert float(smallest_between_loss(torch.eye(2), everyone[:2])) == pytest.approx(-math.pi)
    one = torch.eye(3).requires_grad_(True)
    loss = smallest_between_loss(one, torch.tensor([True, False, False]))
    loss.backward()
    assert loss == 0 and one.grad is not None and torch.isfinite(one.grad).all()
    # Three that are not even: the mean counts the nearest of each, so the smallest angle twice.
    uneven = torch.tensor([[1.0, 0.0], [0.5, math.sqrt(0.75)], [-1.5, -math.sqrt(0.75)]])
    angles = sorted(math.degrees(math.acos(float(a @ b) / float(a.norm() * b.norm())))
                    for a, b in ((uneven[0], uneven[1]), (uneven[1], uneven[2]), (uneven[0], uneven[2])))
    assert math.degrees(-float(smallest_between_loss(uneven, everyone))) == pytest.approx(angles[0], abs=1e-4)
    assert math.degrees(-float(between_loss(uneven, everyone))) == pytest.approx((2 * angles[0] + angles[1]) / 3, abs=1e-4)


def test_a_partner_without_a_share_is_no_member() -> None:
    features, labels = torch.randn(4, 3), torch.tensor([0, 0, 1, 1])
    plain = members_of(step_of(features, labels))
    mixed = members_of(step_of(features, labels, [(labels, 1.0), (torch.tensor([2, 3, 2, 3]), 0.0)]))
    assert mixed.stand_for_class.sum() == plain.stand_for_class.sum() == 2
    for of_batch in (False, True):
        losses = [within_loss(m.features[0], class_means_of(m, m.features[0]), weights_of(m, of_batch))
                  for m in (plain, mixed)]
        torch.testing.assert_close(*losses)
        assert torch.isfinite(losses[1])


def test_half_precision_is_widened_and_double_kept() -> None:
    labels = torch.tensor([0, 1])
    assert members_of(step_of(torch.randn(2, 3).bfloat16(), labels)).features[0].dtype == torch.float32
    assert members_of(step_of(torch.randn(2, 3).double(), labels)).features[0].dtype == torch.float64


def test_mixing_leaves_a_class_its_size_in_the_batch() -> None:
    """Seven images of classes 0, 0, 0, 1, 1, 2, 2, mixed in pairs: shares add up to 3, 2 and 2 whatever the pairs are."""
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2])
    step = step_of(torch.randn(7, 3, dtype=torch.float64), labels, [(labels, 0.7), (labels[torch.randperm(7)], 0.3)])
    members = members_of(step)
    assert sizes_in_batch(members, step).tolist() == [{0: 3, 1: 2, 2: 2}[label] for label in members.labels.tolist()]
    torch.testing.assert_close(members.together.sum(dim=1), sizes_in_batch(members, step).double())
