"""No step of any built-in method makes the host wait for the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ltbench.data import view
from ltbench.data.batch import Batch
from ltbench.data.loader import FeatureLoader, Loader
from ltbench.registry.discovery import load_registry
from ltbench.testing import scene
from ltbench.testing.subject import Subject
from ltbench.training.loop import Loop
from tests.support import host_waits
from tests.support.methods import NEED_A_FILE

EPOCHS = 5  # of a step each, so that what starts at half or four fifths of the training is seen
QUICK = ("ce", "ldam", "mixup")
# Equal weights for all batches: torch's batch norm reads its count of them. Gradients and rates are out of the question there.
READS = {"bn_stats": "aten::_local_scalar_dense"}
MATCHES = {"tsc": "targets.py"}  # which solves an assignment on the host in every step, unless match_every says otherwise


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list that the waits within the steps of every training are written to."""
    steps = Loop._steps
    found: list[str] = []

    def watched(self: Loop, iterators: Mapping[str, Iterator[list[Batch]]], epoch: int) -> tuple[dict[str, Tensor], float]:
        view._scale_and_shift.cache_clear()  # what was put there before the first step was not marked
        engine = self.engine
        host_waits.mark([*engine.parameters(), *engine.buffers(), engine.ctx.class_counts])
        if engine.ctx.previous is not None:
            host_waits.mark([*engine.ctx.previous.parameters(), *engine.ctx.previous.buffers()])
        for loader in self._loaders.values():
            if isinstance(loader, FeatureLoader):
                loader._features = loader._features.clone()  # as a device would hold them, not mapped from a file
                host_waits.mark(loader._features)
            if isinstance(loader, Loader):
                host_waits.mark(loader._pixels)
            host_waits.mark(loader._parts._labels)  # type: ignore[attr-defined]
        with host_waits.waits() as now:
            result = steps(self, iterators, epoch)
        found.extend(now)
        return result

    monkeypatch.setattr(Loop, "_steps", watched)
    return found


@pytest.mark.parametrize("method", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
                                    for name in load_registry().methods if name not in NEED_A_FILE])
def test_steps_wait_for_nothing(method: str, tmp_path: Path, found: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene, "PROTOCOL", scene.PROTOCOL.replace(epochs=EPOCHS, stage2_draws=float(EPOCHS)))
    subject = Subject(method)
    for number, text in enumerate(subject.expressions):
        subject.usual.train(text, tmp_path / str(number))
        assert [wait for wait in found if not wait.startswith(READS.get(method, "nothing"))
                and MATCHES.get(method, "nothing") not in wait] == [], text


@pytest.mark.parametrize(("wait", "noted"), [
    (lambda x: x.sum().item(), "aten::_local_scalar_dense"),
    (lambda x: float(x.sum()), "aten::_local_scalar_dense"),
    (lambda x: 1 if (x > 0).any() else 0, "aten::_local_scalar_dense"),
    (lambda x: x.tolist(), "tolist"),
    (lambda x: x.cpu(), "cpu"),
    (lambda x: x.detach().numpy(), "numpy"),
    (lambda x: x[x > 0], "aten::index"),
    (lambda x: (x > 0).nonzero(), "aten::nonzero"),
    (lambda x: torch.nn.functional.one_hot(x.long()), "aten::_local_scalar_dense"),
    (lambda x: torch.bincount(x.long()), "aten::bincount"),
    (lambda x: torch.tensor([1.0, 2.0], device=x.device), "tensor on the device"),
    (lambda x: torch.arange(3).to(x.device), "to without non_blocking"),
    (lambda x: x.clone().copy_(torch.arange(3)), "copy_ without non_blocking"),
    (lambda x: x[torch.tensor([0, 2])], "__getitem__ of tensors here and there"),
])
def test_a_wait_is_seen(wait: Callable[[Tensor], object], noted: str) -> None:
    x = torch.ones(3)
    host_waits.mark(x)
    with host_waits.waits() as found:
        wait(x)
    assert found and found[0].startswith(noted) and "test_no_host_waits.py" in found[0]


@pytest.mark.parametrize("work", [
    lambda x: x + torch.ones_like(x).exp_().sum(),
    lambda x: x[torch.arange(3, device=x.device)],
    lambda x: x[torch.randperm(3).to(x.device, non_blocking=True)],
    lambda x: x * float(torch.rand(())),  # drawn on the host
    lambda x: torch.where(x > 0, x, torch.zeros((), device=x.device)),
    lambda x: torch.autograd.grad(x.requires_grad_().square().sum(), x),
])
def test_work_on_the_device_is_no_wait(work: Callable[[Tensor], object]) -> None:
    x = torch.ones(3)
    host_waits.mark(x)
    with host_waits.waits() as found:
        work(x)
    assert found == []
