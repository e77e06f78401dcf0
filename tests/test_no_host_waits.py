"""No step of any built-in method makes the host wait for the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from torch import Tensor

from ltbench.data.batch import Batch
from ltbench.registry import load_registry
from ltbench.testing import scene
from ltbench.testing.subject import Subject
from ltbench.training.loop import Loop
from tests import host_waits

METHODS = list(load_registry().methods)


def waits_of(text: str, subject: Subject, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Train an expression's last stage for two epochs of a step each; return the waits within steps."""
    steps, found = Loop._steps, []

    def watched(self: Loop, iterators: Mapping[str, Iterator[list[Batch]]], epoch: int) -> tuple[dict[str, Tensor], float]:
        engine = self.engine
        for module in (engine, engine.ctx.previous):
            if module is not None:
                host_waits.mark_module(module)
        for loader in self._loaders.values():
            host_waits.mark([getattr(loader, name, None) for name in ("_pixels", "_features")] + [loader._parts._labels])
        host_waits.mark(engine.ctx.class_counts)
        with host_waits.waits() as now:
            result = steps(self, iterators, epoch)
        found.extend(now)
        return result

    monkeypatch.setattr(Loop, "_steps", watched)
    engine, runner, plan = subject.usual.build(text, folder)
    runner.train(engine, plan, scene.SEED, subject.usual.data)
    return found


@pytest.mark.parametrize("method", METHODS)
def test_steps_wait_for_nothing(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Subject(method)
    found = {text: waits_of(text, subject, tmp_path / str(number), monkeypatch)
             for number, text in enumerate(subject.expressions)}
    assert found == {text: [] for text in found}
