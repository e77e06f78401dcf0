from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch.distributed as dist

from ltbench.errors import UserError
from ltbench.training import agreement
from ltbench.training.agreement import fails_everywhere, require_same_plans, require_shared


def process(rank: int, world: int = 2) -> Any:
    return cast(Any, SimpleNamespace(num_processes=world, process_index=rank, is_main_process=rank == 0))


def test_one_process_agrees_with_itself(tmp_path: Path) -> None:
    require_shared({"--out": tmp_path / "out"}, process(0, 1))
    require_same_plans(["a"], process(0, 1))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shared", [True, False])
def test_a_folder_that_one_node_does_not_see_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool) -> None:
    monkeypatch.setattr(agreement, "_VISIBLE", 0.0)
    monkeypatch.setattr(agreement, "broadcast_object_list", lambda objects: None)
    monkeypatch.setattr(agreement, "gather_object", lambda seen: [*seen, shared])
    if shared:
        require_shared({"--out": tmp_path}, process(0))
    else:
        with pytest.raises(UserError, match="--out must be one folder that all nodes share, got .*: rank 1 does not see"):
            require_shared({"--out": tmp_path}, process(0))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "broadcast_object_list", lambda objects: None)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--cache must be a folder that can be written"):
        require_shared({"--cache": tmp_path / "file" / "below"}, process(0))


def test_other_plans_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "gather_object", lambda digests: [*digests, digests[0], "another"])
    with pytest.raises(UserError, match="must plan the same runs, got others on rank 2 than on rank 0"):
        require_same_plans(["a", "b"], process(0, 3))


@pytest.mark.parametrize(("other", "alike"), [("no head", True), ("no memory", False), (None, False)])
def test_only_what_fails_alike_everywhere_lets_all_go_on(monkeypatch: pytest.MonkeyPatch, other: str | None, alike: bool) -> None:
    store = dist.HashStore()
    monkeypatch.setattr(agreement, "_get_default_store", lambda: store)
    monkeypatch.setattr(agreement, "_MEETING", 0.1)
    if other is not None:
        store.set("ltbench/failed/key/1", other)
    assert fails_everywhere("no head", "key", process(0)) is alike
