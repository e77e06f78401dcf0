from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn

from ltbench.testing import scene
from ltbench.training.stages import StageRunner
from ltbench.training.store import StageStore


@pytest.mark.parametrize(("asked", "world", "synced"), [(True, 2, 3), (False, 2, 0), (True, 1, 0)])
def test_batch_norm_is_replaced_where_several_processes_ask_for_it(tmp_path: Path, asked: bool, world: int, synced: int) -> None:
    """The network for digits has three; what is stored keeps its names."""
    registry = scene.installed()
    accelerator = SimpleNamespace(device=torch.device("cpu"), num_processes=world, process_index=0, is_main_process=True)
    runner = StageRunner(cast(Any, accelerator), StageStore(tmp_path, 10**9), registry, sync_batch_norm=asked)
    (plan,) = scene.plan("ce", registry).stages
    engine = runner.build(plan, 0, scene.task_data(), None)
    assert sum(isinstance(part, nn.SyncBatchNorm) for part in engine.modules()) == synced
    usual = scene.Scene(registry).build("ce", tmp_path)[0]
    assert engine.state_dict().keys() == usual.state_dict().keys()
    engine.eval()
    usual.eval()
    images = torch.randn(4, 1, 8, 8)
    assert torch.equal(engine.predict(images), usual.predict(images))  # evaluation is the same
