"""Pairs of built-in methods in one first stage, one in fifteen of them: planning refuses it, or it trains."""

from __future__ import annotations

import itertools

import pytest

from ltbench.errors import UserError
from ltbench.terms.protocol import Protocol
from ltbench.testing import scene
from tests.planning.test_stacks_that_cannot_work import FIRST, REGISTRY, TRANSFORMERS

SHARE = 15  # one in so many is tried, other ones for each first name: all would take minutes
PAIRS = list(itertools.combinations(FIRST, 2))[::SHARE]
REFUSED = ["bbn+dnc", "ce+word2vec", "bbn+ride", "ldam+psc", "lora+manifold_mixup"]
TRAINED = ["ce+dnc", "ce+psc", "mixup+rw"]


def protocol_of(*names: str) -> Protocol:
    return scene.PROTOCOL.replace(backbone=scene.TRANSFORMER) if TRANSFORMERS & {*names} else scene.PROTOCOL


def planned(text: str) -> bool:
    try:
        scene.plan(text, REGISTRY, protocol=protocol_of(*text.split("+")))
    except UserError:
        return False
    return True


def test_some_pairs() -> None:
    assert [planned(text) for text in (*REFUSED, *TRAINED)] == [False] * len(REFUSED) + [True] * len(TRAINED)


@pytest.mark.slow
@pytest.mark.parametrize("first", FIRST)
def test_every_pair_is_refused_or_trains(first: str) -> None:
    for pair in PAIRS:
        if pair[0] == first and planned("+".join(pair)):
            with scene.scratch() as folder:
                scene.Scene(REGISTRY, protocol=protocol_of(*pair)).train("+".join(pair), folder)
