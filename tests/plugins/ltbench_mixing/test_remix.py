from __future__ import annotations

import math

import pytest
import torch

from ltbench_baselines.rw import InverseFrequencyWeights
from ltbench_mixing.remix import Remix
from tests.support import first_stages
from tests.support.known_context import SIDE, batch_of, context, part_of, pixels
from tests.support.stages import facts

COUNTS = (90, 45, 30, 10)


def method(**values: float) -> Remix:
    return Remix(facts(COUNTS), **values)


def slow_share(own: int, other: int, share: float, kappa: float, tau: float) -> float:
    """The paper's three cases, one pair at a time."""
    if own / other >= kappa and share < tau:
        return 0.0
    if own / other <= 1 / kappa and 1 - share < tau:
        return 1.0
    return share


def test_shares_by_hand() -> None:
    # Counts 90 : 30 is just 3 to 1. Less than half of the frequent image is in it: the label is the rare one's alone.
    own, other = torch.tensor([90, 30, 90, 45, 10]), torch.tensor([30, 90, 45, 45, 90])
    torch.testing.assert_close(method().label_shares(own, other, 0.25), torch.tensor([0.0, 0.25, 0.25, 0.25, 0.25]))
    torch.testing.assert_close(method().label_shares(own, other, 0.75), torch.tensor([0.75, 1.0, 0.75, 0.75, 1.0]))


@pytest.mark.parametrize("tau", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_shares_are_the_papers_cases(share: float, tau: float) -> None:
    pairs = [(own, other) for own in COUNTS for other in COUNTS]
    own, other = torch.tensor(pairs).T
    expected = torch.tensor([slow_share(*pair, share, 3.0, tau) for pair in pairs])
    if 1 - share < tau and share < tau:  # then both conditions of one pair of classes hold, whichever comes first in it
        assert {0.0, 1.0} <= set(expected.tolist())
    torch.testing.assert_close(method(tau=tau).label_shares(own, other, share), expected)


def test_both_orders_of_a_pair_agree() -> None:
    """The label of a mixture does not depend on which of its images comes first."""
    own, other = torch.tensor([90, 90, 45]), torch.tensor([10, 45, 10])
    for share in (0.1, 0.4, 0.6, 0.9):
        torch.testing.assert_close(method().label_shares(own, other, share),
                                   1 - method().label_shares(other, own, 1 - share))


def test_without_a_threshold_it_is_mixup() -> None:
    labels = [0, 1, 2, 3] * 3
    mixed = method(tau=0.0).mix(context(COUNTS), batch_of(labels))
    (first, share), (second, rest) = mixed.targets
    assert isinstance(share, torch.Tensor) and len(share.unique()) == 1
    torch.testing.assert_close(pixels(mixed.images), share * first + rest * second)
    assert second.tolist() != labels and sorted(second.tolist()) == sorted(labels)


@pytest.mark.parametrize("seed", range(4))
def test_loss_is_that_of_both_labels_one_sample_at_a_time(seed: int) -> None:
    """Beside class weights of 1 / n each label counts with its own, and their sum over the drawn labels divides."""
    labels = [0, 1, 2, 3, 3, 2, 0, 0]
    ctx = context(COUNTS, seed, [method(), InverseFrequencyWeights(facts(COUNTS))])
    step = ctx.default_step(first_stages.batch_of(torch.rand(8, 1, SIDE, SIDE), torch.tensor(labels)))
    share = context(COUNTS, seed).draw_beta(1.0, 1.0)
    total, weights = 0.0, 0.0
    for logits, own, other in zip(step.output.logits.tolist(), labels, step.batch.targets[1][0].tolist(), strict=True):
        partition = math.log(sum(math.exp(value) for value in logits))
        part = slow_share(COUNTS[own], COUNTS[other], share, 3.0, 0.5)
        total += part * (partition - logits[own]) / COUNTS[own] + (1 - part) * (partition - logits[other]) / COUNTS[other]
        weights += 1 / COUNTS[own]
    assert float(step.loss) == pytest.approx(total / weights, rel=1e-5)


def test_a_part_of_a_batch_is_mixed_as_in_the_whole() -> None:
    batch = batch_of([0, 1, 2, 3, 3, 2, 0, 1])
    whole = method().mix(context(COUNTS, seed=3), batch)
    for first in (0, 4):
        part = method().mix(context(COUNTS, seed=3), part_of(batch, first, 4))
        torch.testing.assert_close(pixels(part.images), pixels(whole.images)[first:first + 4])
        for (labels, weight), (all_labels, all_weights) in zip(part.targets, whole.targets, strict=True):
            assert isinstance(weight, torch.Tensor) and isinstance(all_weights, torch.Tensor)
            assert labels.tolist() == all_labels[first:first + 4].tolist()
            assert weight.tolist() == all_weights[first:first + 4].tolist()


@pytest.mark.parametrize(("values", "message"), [
    ({"alpha": 0.0}, "alpha must be > 0, got 0.0"), ({"kappa": 0.5}, "kappa must be >= 1, got 0.5"),
    ({"kappa": float("nan")}, "kappa must be >= 1, got nan"), ({"tau": 1.5}, r"tau must be in \[0, 1\], got 1.5"),
])
def test_refuses(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method(**values)
