from __future__ import annotations

import pytest
import torch

import ltbench
from ltbench.errors import UserError
from ltbench.method.stack import Stack, evaluation_only, slots_of
from tests.support import toys

FACTS = ltbench.Facts(torch.tensor([30, 10]), feature_dim=4, epochs=2)


def stack(*kinds: type[ltbench.Method], stage: int = 1) -> Stack:
    return Stack([kind(FACTS) for kind in kinds], stage)


def test_slots_are_what_a_class_overrides() -> None:
    assert slots_of(toys.Margin) == {"criterion", "make_classifier"}
    assert slots_of(toys.Base) == frozenset()


def test_evaluation_only_is_what_changes_predictions_alone() -> None:
    assert evaluation_only(toys.Shift)
    assert not evaluation_only(toys.Base)
    assert not evaluation_only(toys.Weights)
    assert stack(toys.Shift, stage=2).evaluation_only
    assert not stack(toys.Retrain, toys.Shift, stage=2).evaluation_only


def test_a_slot_has_one_owner() -> None:
    both = stack(toys.Weights, toys.Margin)
    assert both.owner("criterion").name == "margin"
    assert both.owner("step").name == "weights"  # nobody owns it: the first method's default
    assert both.owns("class_weights")
    assert not both.owns("step")


def test_a_slot_is_yielded_to_one_who_does_not() -> None:
    class Yielding(toys.Margin):
        name = "yielding"
        yields = frozenset({"criterion", "make_classifier"})

    class Too(Yielding):
        name = "too"

    assert stack(Yielding).owner("criterion").name == "yielding"
    assert stack(Yielding, toys.Margin).owner("criterion").name == "margin"
    with pytest.raises(UserError, match="'yielding' and 'too' cannot stand in one stack: both own 'make_classifier'"):
        stack(Yielding, Too)


def test_later_stages_agree_on_inputs_and_backbone() -> None:
    assert (stack(toys.Retrain, stage=2).inputs, stack(toys.Retrain, stage=2).backbone) == ("features", "frozen")
    assert (stack(toys.Drift, stage=2).inputs, stack(toys.Drift, stage=2).backbone) == ("images", "drifting")
    assert (stack(toys.Base).inputs, stack(toys.Base).backbone) == ("images", "tuned")


def test_disagreeing_overrides_are_refused() -> None:
    class Other(toys.Tuned):
        name = "other"

        def protocol_overrides(self) -> dict[str, float]:
            return {"weight_decay": 0.25}

    with pytest.raises(UserError, match="set weight_decay differently: 0.5 and 0.25"):
        stack(toys.Tuned, Other).protocol_overrides()
