"""The check that cuts batches in two, as ``--accumulate 2`` does: the same must come out, or the key must say into how many."""

from __future__ import annotations

import torch

from ltbench.testing import scene
from ltbench.testing.results import Failure
from ltbench.testing.subject import Subject
from ltbench.testing.sums import close, image_by_image
from ltbench.training.engine import Engine
from ltbench.training.loop import Row


def accumulation(subject: Subject) -> str:
    """Train on batches in one part and in two: the same must come out, or the spec must say per_part."""
    told: list[str] = []
    for text in subject.expressions:
        if not subject.cut.last(text)[0].trial.trains:
            continue
        found = _difference(_trained(subject, text, 1), _trained(subject, text, 2))
        if found and not subject.entry.spec.per_part:
            raise Failure(f"in {text}, {found} differs between batches in one part and in two")
        if found:
            told.append(f"{text} depends on the number of parts, which stands in its key")
    return "; ".join(told)


def _trained(subject: Subject, text: str, parts: int) -> tuple[Engine, list[Row]]:
    """Return the last stage of an expression, trained on batches in so many parts, and its curve; what is below is the same."""
    rows: list[Row] = []
    with scene.scratch() as folder, image_by_image():
        engine, runner, plan = subject.cut.build(text, folder)
        runner.accumulation = parts
        runner.train(engine, plan, scene.SEED, subject.cut.data, rows.append)
    return engine, rows


def _difference(whole: tuple[Engine, list[Row]], cut: tuple[Engine, list[Row]]) -> str | None:
    """Return what differs by more than the order of sums does, or None."""
    others = cut[0].state_dict()
    for name, value in whole[0].state_dict().items():
        if not close(others[name], value):
            return name
    for one, other in zip(whole[1], cut[1], strict=True):
        for name, figure in one.items():
            if not close(torch.tensor(float(other[name])), torch.tensor(float(figure))):
                return f"{name!r} of the curve ({figure} and {other[name]})"
    return None
