"""What a stage leaves and what the next one needs: by hand, and against what stages really leave."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import ltbench
from ltbench.method.kinds import check_below, check_trainable, kind_of, left_by
from ltbench.method.stack import Stack

FACTS = ltbench.Facts(torch.tensor([30, 8, 1]), feature_dim=4, epochs=5)


class Owner(ltbench.Method):
    name = "owner"
    stages = frozenset({1, 2})
    leaves = "cosine"

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        return ltbench.CosineClassifier(feature_dim, num_classes)


class Fresh(ltbench.Method):
    name = "fresh"
    stages = frozenset({2})
    leaves: str | None = "made"

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        return make.head(make.classifier())


class Keeps(Fresh):
    name = "keeps"
    leaves = "kept"


class Silent(Fresh):
    name = "silent"
    leaves = None


class Reads(ltbench.Method):
    name = "reads"
    stages = frozenset({2})
    needs = frozenset({"linear", "cosine"})
    below = "first"


class Adjusts(ltbench.Method):
    name = "adjusts"
    stages = frozenset({1, 2})

    def adjust_logits(self, ctx: ltbench.Context, logits: torch.Tensor) -> torch.Tensor:
        return logits


class Watches(ltbench.Method):
    name = "watches"
    stages = frozenset({1, 2})

    def measure(self, ctx: ltbench.Context) -> dict[str, float]:
        return {}


class Plain(ltbench.Method):
    name = "plain"
    stages = frozenset({1, 2})


class Fixed(ltbench.Method):
    name = "fixed"
    stages = frozenset({2})
    trains = False

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        return make.head(make.classifier().requires_grad_(False))


class Open(Fixed):
    name = "open"

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        return make.head(make.classifier())


def stack(*methods: type[ltbench.Method], stage: int = 2) -> Stack:
    return Stack([method(FACTS) for method in methods], stage)


class Doubled(nn.Linear):
    """Score by the weights of a linear layer in another way."""


def test_a_classifier_has_a_kind() -> None:
    assert kind_of(ltbench.Head(Doubled(4, 3))) == "Doubled"
    centroids = ltbench.DistanceClassifier(4, 3)
    assert kind_of(ltbench.Head(nn.Linear(4, 3))) == kind_of(nn.Linear(4, 3, bias=False)) == "linear"
    assert kind_of(ltbench.CosineClassifier(4, 3)) == "cosine"
    assert kind_of(ltbench.Head(centroids)) == "centroids"
    for other in (ltbench.DistanceClassifier(4, 3, "cosine"), ltbench.DistanceClassifier(4, 3, temperatures=True)):
        assert kind_of(other) == "DistanceClassifier"
    assert kind_of(nn.Identity()) == "Identity"


@pytest.mark.parametrize(("methods", "expected"), [
    ((Plain,), "linear"), ((Owner,), "cosine"), ((Fresh,), "linear"), ((Fresh, Owner), "cosine"), ((Keeps,), "before"),
    ((Silent,), None), ((Adjusts,), "before"), ((Adjusts, Fresh), "linear")])
def test_a_later_stage_leaves_what_its_owner_says(methods: tuple[type[ltbench.Method], ...], expected: str | None) -> None:
    assert left_by(stack(*methods), "before") == expected


def test_a_first_stage_that_only_predicts_is_trained_all_the_same() -> None:
    assert left_by(stack(Adjusts, stage=1), None) == "linear"


def test_a_later_stage_takes_what_it_needs_and_what_nobody_knows() -> None:
    for before in ("linear", "cosine", None):
        check_below(stack(Reads), before, "below")
    with pytest.raises(ltbench.UserError, match=r"'reads' must stand on a stage that leaves 'cosine' or 'linear' \(as 'first' "
                       "does\\), got 'below', which leaves 'centroids'"):
        check_below(stack(Reads), "centroids", "below")


def test_who_only_watches_stands_beside_the_base_method() -> None:
    assert stack(Watches).trains and stack(Watches, Plain).trains and not stack(Watches, Fixed).trains
    assert not stack(Watches).evaluation_only and left_by(stack(Watches), "cosine") == "linear"


def test_a_stage_that_takes_steps_has_something_to_train() -> None:
    for able in (stack(Fixed), stack(Fixed, Watches), stack(Open, Plain), stack(Fresh), stack(Plain)):
        check_trainable(able, FACTS)
    with pytest.raises(ltbench.UserError, match="'plain' would have nothing to train: the head of 'fixed' is fixed"):
        check_trainable(stack(Fixed, Plain), FACTS)
