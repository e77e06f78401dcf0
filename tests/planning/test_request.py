"""What is asked for is checked once, whoever asks."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ltbench.errors import UserError
from ltbench.planning.request import How, Request, Terms, What, parse_seeds
from ltbench.planning.shards import Shard


@pytest.mark.parametrize(("make", "message"), [
    (lambda: What(methods=()), "--methods must not be empty"),
    (lambda: What(datasets=(" ",)), "--dataset must not be empty"),
    (lambda: What(seeds=(0, 2**63)), "--seeds must be >= 0 and below 2^63, got '0,9223372036854775808'"),
    (lambda: What(imbalance="cliff"), "argument --imbalance: invalid choice: 'cliff' (choose from exp, step)"),
    (lambda: Terms(by_hand={"epochs": 1.5}), "--epochs must be a whole number, got 1.5"),
    (lambda: Terms(by_hand={"lr": "0.1"}), "--lr must be a number, got '0.1'"),
    (lambda: Terms(by_hand={"lr": float("nan")}), "--lr must be > 0, got nan"),
    (lambda: Terms(by_hand={"weight_decay": -1}), "--weight-decay must be >= 0, got -1"),
    (lambda: Terms(by_hand={"optimizer": "adam"}), "argument --optimizer: invalid choice: 'adam' (choose from sgd, adamw)"),
    (lambda: Terms(test_noise=-1), "--test-noise must be >= 0, got -1"),
    (lambda: How(accumulation=0), "--accumulate must be > 0, got 0"),
    (lambda: How(jobs=True), "--jobs must be a whole number, got True"),
    (lambda: How(keep="all"), "argument --keep: invalid choice: 'all' (choose from nothing, statistics, features)"),
    (lambda: How(stage1=Path("a"), weights="timm"), "--stage1 and --weights both give the first stage; leave one of them out"),
    (lambda: Request(terms=Terms(paper="ce")), "--paper needs --track paper"),
    (lambda: Request(terms=Terms("quick", "paper", by_hand={"epochs": 3, "batch_size": 4})),
     "--track paper takes each paper's own settings; leave out --batch-size, --protocol"),
    (lambda: Request(terms=Terms(track="paper"), how=How(weights="timm")),
     "--weights needs --track common: no paper's own settings say what is pre-trained elsewhere"),
    (lambda: Request(terms=Terms(track="paper", init="timm")),
     "--init needs --track common: no paper's own settings say what is pre-trained elsewhere"),
    (lambda: Request(terms=Terms(init="timm"), how=How(weights="timm")),
     "--init and --weights both say where the first stage comes from; leave one of them out"),
    (lambda: Request(terms=Terms(init="timm"), how=How(stage1=Path("a"))),
     "--init and --stage1 both say where the first stage comes from; leave one of them out"),
    (lambda: Terms(tune="last"), "--tune needs --init, the weights that are tuned"),
    (lambda: Terms(init="timm", tune="first"), "argument --tune: invalid choice: 'first' (choose from all, last, norm, bias)"),
    (lambda: Terms(by_hand={"layer_decay": 0}), "--layer-decay must be > 0, got 0"),
    (lambda: parse_seeds("0,a", "--seeds"), "--seeds must be whole numbers with commas, got '0,a'"),
])
def test_what_no_run_can_have_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError) as raised:
        make()
    assert str(raised.value) == message


def test_equal_numbers_are_one_value() -> None:
    """A key is a hash of JSON, where 1 and 1.0 differ."""
    assert repr(Terms(by_hand={"lr": 1, "weight_decay": 0}, test_noise=0).by_hand) == "{'lr': 1.0, 'weight_decay': 0.0}"
    assert repr(Terms(test_noise=0).test_noise) == "0.0"


def test_a_request_is_a_value() -> None:
    request = Request(What(("ce",), settings={"la": {"tau": 0.5}}), how=How(shard=Shard(1, 2)))
    assert pickle.loads(pickle.dumps(request)) == request != replace(request, plugins=(Path("a.py"),))
