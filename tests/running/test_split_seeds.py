"""A split seed must draw something: the runs of several that draw nothing are one run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.errors import UserError
from ltbench.planning.matrix import plan_matrix
from ltbench.planning.request import How, Request, Terms, What
from ltbench.registry.discovery import load_registry
from ltbench.running.checks import check_split_seeds
from ltbench.running.setup import make_runner
from tests.cli.test_run import refusal
from tests.support.own_images import write_classes

REGISTRY = load_registry(strict=False)
REFUSED = "--split-seeds must be 0 for folder:pets, which is used as it is: there is no other subset of it, got 1"


def check(root: Path, dataset: str, *, split_seed: int = 1, hold_out: bool = False, protocol: str = "quick",
          tunes: bool = False) -> None:
    request = Request(What(("ce",), (dataset,), seeds=(0,), split_seeds=(split_seed,)), Terms(protocol, hold_out=hold_out),
                      How(root / "runs", cache=root / "cache", dry_run=True, cpu=True))
    planned = plan_matrix(request, REGISTRY)
    check_split_seeds(planned.plans, make_runner(request, REGISTRY, planned).data, tunes=tunes)


def test_a_set_as_it_is_has_one_subset(tmp_path: Path) -> None:
    pets = f"folder:{write_classes(tmp_path / 'pets', {'a': 6, 'b': 6})}"
    check(tmp_path, pets, split_seed=0)
    check(tmp_path, f"{pets}@2")
    check(tmp_path, pets, protocol="smoke")  # ten images of each class at most, drawn
    check(tmp_path, pets, hold_out=True)
    check(tmp_path, pets, tunes=True)
    with pytest.raises(UserError, match=f"^{REFUSED}$"):
        check(tmp_path, pets)


def test_a_validation_part_of_its_own_is_not_drawn(tmp_path: Path) -> None:
    for part in ("train", "test", "val"):
        write_classes(tmp_path / "pets" / part, {"a": 2, "b": 2})
    for asked in ({"hold_out": True}, {"tunes": True}):
        with pytest.raises(UserError, match=f"^{REFUSED}$"):
            check(tmp_path, f"folder:{tmp_path / 'pets'}", **asked)


@pytest.mark.parametrize("verb", [["run", "--dry-run", "--methods", "ce"], ["run", "--methods", "ce"],
                                  ["tune", "post_la", "--trials", "1"],
                                  ["tune", "post_la", "--trials", "1", "--trial-protocol", "smoke"]])
def test_it_is_told_before_anything_is_trained(verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    for part, count in (("train", 64), ("test", 1), ("val", 1)):
        write_classes(tmp_path / "pets" / part, {"a": count, "b": count})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    assert refusal(capsys, *verb, "--dataset", "folder:pets", "--split-seeds", "1", "--seeds", "0", "--cpu") == REFUSED
    assert not (tmp_path / "runs").exists()
