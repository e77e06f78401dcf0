"""A split seed must draw something: the runs of several that draw nothing are one run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.data.longtail import make_split
from ltbench.errors import UserError
from ltbench.planning.matrix import plan_matrix
from ltbench.planning.request import How, Request, Terms, What
from ltbench.registry.discovery import load_registry
from ltbench.running.checks import check_split_seeds
from ltbench.running.setup import make_runner
from tests.cli.test_run import refusal
from tests.support.own_images import write_classes

REGISTRY = load_registry(strict=False)
REFUSED = "--split-seeds must be 0 for folder:pets{}, which is used as it is: there is no other subset of it, got 1"


def check(root: Path, dataset: str, *, split_seed: int = 1, hold_out: bool = False, protocol: str = "quick",
          tunes: bool = False, unreadable: str = "stop") -> None:
    request = Request(What(("ce",), (dataset,), seeds=(0,), split_seeds=(split_seed,)), Terms(protocol, hold_out=hold_out),
                      How(root / "runs", cache=root / "cache", dry_run=unreadable == "stop", cpu=True, unreadable=unreadable))
    planned = plan_matrix(request, REGISTRY)
    check_split_seeds(planned.plans, make_runner(request, REGISTRY, planned).data, tunes=tunes)


def test_a_set_as_it_is_has_one_subset(tmp_path: Path) -> None:
    pets = f"folder:{write_classes(tmp_path / 'pets', {'a': 6, 'b': 6})}"
    check(tmp_path, pets, split_seed=0)
    check(tmp_path, f"{pets}@2")
    check(tmp_path, pets, hold_out=True)
    check(tmp_path, pets, tunes=True)
    with pytest.raises(UserError, match=f"^{REFUSED.format('')}$"):
        check(tmp_path, pets)


def test_a_draw_of_all_images_is_no_draw(tmp_path: Path) -> None:
    """At ratio 1 the seed orders the images of each class, and takes them all where the classes are of one size."""
    for ratio, same in ((1, True), (2, False)):
        first, *others = (make_split([0, 1, 0, 1, 0, 1, 0, 1], 2, 4, ratio, split_seed=seed).indices for seed in range(8))
        assert any(list(other) != list(first) for other in others)
        assert all(set(other) == set(first) for other in others) == same
    pets = f"folder:{write_classes(tmp_path / 'pets', {'a': 13, 'b': 13})}"  # 11 of each to train on
    check(tmp_path, pets, protocol="smoke")  # ten images of each class at most, drawn
    check(tmp_path, f"{pets}@1", hold_out=True)
    check(tmp_path, f"{pets}@1", tunes=True)
    with pytest.raises(UserError, match=f"^{REFUSED.format('@1')}$"):
        check(tmp_path, f"{pets}@1")
    write_classes(tmp_path / "pets", {"c": 20})
    check(tmp_path, f"{pets}@1")  # of which 11 are drawn
    few = f"folder:{write_classes(tmp_path / 'few' / 'pets', {'a': 6, 'b': 6})}"  # fewer than the protocol's ten
    with pytest.raises(UserError, match=f"^{REFUSED.format('')}$"):
        check(tmp_path, few, protocol="smoke")


def test_what_cannot_be_read_was_drawn_too(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_classes(tmp_path / "pets" / part, {"a": 3, "b": 3})
    (tmp_path / "pets/train/a/000.png").write_bytes(b"no image")
    for ratio in ("", "@1"):
        with pytest.raises(UserError, match=f"^{REFUSED.format(ratio)}$"):
            check(tmp_path, f"folder:{tmp_path / 'pets'}{ratio}", unreadable="skip")


def test_a_validation_part_of_its_own_is_not_drawn(tmp_path: Path) -> None:
    for part in ("train", "test", "val"):
        write_classes(tmp_path / "pets" / part, {"a": 2, "b": 2})
    for asked in ({"hold_out": True}, {"tunes": True}):
        with pytest.raises(UserError, match=f"^{REFUSED.format('')}$"):
            check(tmp_path, f"folder:{tmp_path / 'pets'}", **asked)


@pytest.mark.parametrize("verb", [["run", "--dry-run", "--methods", "ce"], ["run", "--methods", "ce"],
                                  ["tune", "post_la", "--trials", "1"], ["tune", "post_la", "--trials", "1", "--dry-run"],
                                  ["tune", "post_la", "--trials", "1", "--trial-protocol", "smoke"]])
def test_it_is_told_before_anything_is_trained(verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    for part, count in (("train", 64), ("test", 1), ("val", 1)):
        write_classes(tmp_path / "pets" / part, {"a": count, "b": count})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    assert refusal(capsys, *verb, "--dataset", "folder:pets", "--split-seeds", "1", "--seeds", "0", "--cpu") == REFUSED.format("")
    assert not (tmp_path / "runs").exists()
