from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from ltbench.method.stack import evaluation_only
from ltbench_baselines.la import LogitAdjustment
from ltbench_baselines.post_la import PostHocLogitAdjustment
from tests.support.methods import named
from tests.support.stages import at_progress, facts

COUNTS = [500, 100, 16, 1]


def test_la_by_hand() -> None:
    # Equal logits: the shifted softmax is the prior, 3/4 and 1/4.
    losses = LogitAdjustment(facts([3, 1])).criterion(torch.zeros(2, 2), torch.tensor([0, 1]))
    torch.testing.assert_close(losses, torch.tensor([math.log(4 / 3), math.log(4)]))


def test_la_pairwise_form() -> None:
    # The second form of eq. 10: log(1 + sum_{k != y} (prior_k / prior_y)^tau exp(z_k - z_y))
    method = LogitAdjustment(facts(COUNTS), tau=0.7)
    logits, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 3])
    expected = []
    for row, y in zip(logits.tolist(), labels.tolist(), strict=True):
        others = sum((COUNTS[k] / COUNTS[y]) ** 0.7 * math.exp(row[k] - row[y]) for k in range(4) if k != y)
        expected.append(math.log(1 + others))
    torch.testing.assert_close(method.criterion(logits, labels), torch.tensor(expected))


def test_la_is_balanced_softmax_at_tau_one() -> None:
    logits, labels = torch.randn(50, 4), torch.randint(4, (50,))
    torch.testing.assert_close(LogitAdjustment(facts(COUNTS)).criterion(logits, labels),
                               named("balanced_softmax")(facts(COUNTS)).criterion(logits, labels))


def test_balanced_softmax_by_hand() -> None:
    # 3 e^0 / (3 e^0 + 1 e^(log 2)) = 3/5
    losses = named("balanced_softmax")(facts([3, 1])).criterion(torch.tensor([[0.0, math.log(2)]] * 2), torch.tensor([0, 1]))
    torch.testing.assert_close(losses, torch.tensor([math.log(5 / 3), math.log(5 / 2)]))


def test_post_hoc_by_hand() -> None:
    # A posterior of 3/4 and 1/4 under the prior 3/4 and 1/4 says nothing: balanced, both classes are alike.
    adjusted = PostHocLogitAdjustment(facts([3, 1])).adjust_logits(at_progress(0), torch.tensor([[0.75, 0.25]]).log())
    torch.testing.assert_close(adjusted.softmax(dim=1), torch.tensor([[0.5, 0.5]]))


def test_post_hoc_undoes_what_training_with_la_adds() -> None:
    # Cross-entropy's optimum is the shifted optimum of la: both give one balanced decision (Menon et al., section 4).
    logits, labels = torch.randn(50, 4), torch.randint(4, (50,))
    adjusted = PostHocLogitAdjustment(facts(COUNTS), tau=1.3).adjust_logits(at_progress(0), logits)
    torch.testing.assert_close(LogitAdjustment(facts(COUNTS), tau=1.3).criterion(adjusted, labels),
                               F.cross_entropy(logits, labels, reduction="none"))


def test_only_post_hoc_leaves_training_alone() -> None:
    assert evaluation_only(PostHocLogitAdjustment)
    assert not evaluation_only(LogitAdjustment)


@pytest.mark.parametrize("method", [LogitAdjustment, PostHocLogitAdjustment])
def test_refuse_bad_values_and_bear_empty_classes(method: type[LogitAdjustment]) -> None:
    with pytest.raises(ValueError, match="tau must be >= 0, got -1"):
        method(facts(COUNTS), tau=-1)
    assert method(facts([5, 0])).shift.isfinite().all()
    torch.testing.assert_close(method(facts(COUNTS), tau=0.0).shift, torch.zeros(4))
