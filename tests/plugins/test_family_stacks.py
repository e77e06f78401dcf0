"""What contrastive, mixing and expert methods stand beside and below on real digits, and what is refused in one line."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from ltbench.data.digits import DigitsLT
from ltbench.errors import UserError
from ltbench.planning.plan import plan_run
from ltbench.terms.task import Task
from ltbench.testing import scene

WORK = ["bcl+drw/ncm", "proco+mixup/ncm", "gpaco/ncm", "kcl+la/crt", "fcl/tsc/ncm", "remix+drw/ncm", "cmo+balanced_softmax/crt",
        "ce/m2m/ncm", "glmc/ncm", "sade+mixup/ncm", "shike+drw/ncm", "ncl+drw/ncm", "lfme_experts/lfme+drw/ncm"]


@pytest.fixture(scope="module")
def place() -> Iterator[scene.Scene]:
    yield scene.Scene(scene.installed())


@pytest.mark.slow
@pytest.mark.parametrize("text", WORK)
def test_they_stand_together(text: str, place: scene.Scene) -> None:
    with scene.scratch() as folder:
        stage = place.train(text, folder)
        assert all(math.isfinite(float(row["loss"])) for row in stage.curve if "loss" in row)


@pytest.mark.parametrize(("text", "one", "other", "slot"), [
    ("bcl+la", "bcl", "la", "criterion"), ("proco+la", "proco", "la", "criterion"), ("gpaco+la", "gpaco", "la", "criterion"),
    ("paco+mixup", "paco", "mixup", "mix"), ("kcl+mixup", "kcl", "mixup", "mix"), ("kcl/tsc+mixup", "tsc", "mixup", "mix"),
    ("glmc+mixup", "glmc", "mixup", "mix"), ("m2m+mixup", "m2m", "mixup", "mix"), ("cmo+remix", "cmo", "remix", "mix"),
    ("ncl+la", "ncl", "la", "criterion"), ("shike+ldam", "shike", "ldam", "make_classifier"),
    ("ride+sade", "ride", "sade", "build_backbone"), ("lfme_experts/lfme+rs", "lfme", "rs", "streams"),
])
def test_two_owners_of_a_slot_are_refused_in_one_line(text: str, one: str, other: str, slot: str, place: scene.Scene) -> None:
    with pytest.raises(UserError) as caught:
        plan_run(text, Task("digits-lt", 20.0), scene.PROTOCOL, place.registry, DigitsLT())
    assert str(caught.value) == f"'{one}' and '{other}' cannot stand in one stack: both own '{slot}'"


def test_a_classifier_without_weight_vectors_has_no_norms(place: scene.Scene) -> None:
    with pytest.raises(UserError) as caught:
        plan_run("dnc/tau_norm", Task("digits-lt", 20.0), scene.PROTOCOL, place.registry, DigitsLT())
    assert str(caught.value) == "'tau_norm' must stand on a stage that leaves 'linear', got 'dnc', which leaves 'SubCentroids'"
