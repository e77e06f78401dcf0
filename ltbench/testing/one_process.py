"""Compare what two processes trained with what one process trains on the same global batches."""

from __future__ import annotations

from pathlib import Path

import torch

from ltbench.data.randomness import derive_seed
from ltbench.testing import scene
from ltbench.testing.results import brief
from ltbench.testing.subject import Subject
from ltbench.testing.sums import close, image_by_image
from ltbench.training.files import load_tensors
from ltbench.training.loop import Row

EARLIER = "earlier"  # folder of the stages that all processes stand on
STATE = "state.safetensors"  # what two processes came to, in the folder of an expression


def place_of(folder: Path, method: str, number: int) -> Path:
    """Return the folder of one of a method's expressions."""
    return folder / f"{method}-{number}"


def difference(subject: Subject, folder: Path) -> str:
    """Train every expression of a method in this process; return what differs from two, or nothing."""
    for number, text in enumerate(subject.expressions):
        file = place_of(folder, subject.name, number) / STATE
        try:
            found = _difference(subject, text, file) if file.is_file() else ""
        except Exception as error:  # whatever a stranger's method does, the others are compared
            found = brief(error)
        if found:
            return found
    return ""


def _difference(subject: Subject, text: str, file: Path) -> str:
    tensors, meta = load_tensors(file)
    curve: list[Row] = []
    drew: list[bool] = []

    def observe(row: Row) -> None:
        curve.append(row)
        drew.append(_drew(subject, text, row))

    with scene.scratch() as folder, image_by_image():
        engine, runner, plan = subject.split.build(text, folder)
        runner.train(engine, plan, scene.SEED, subject.split.data, observe)
    if any(drew):  # dropout and its like: each process draws its own numbers, so only the processes are compared
        return ""
    for name, value in engine.state_dict().items():
        if not close(tensors[name], value):
            return f"in {text}, {name} differs between one process and two"
    for one, two in zip(curve, [row for row in meta["curve"] if "loss" in row], strict=True):
        for name, figure in one.items():
            if not close(torch.tensor(float(two[name])), torch.tensor(float(figure))):
                return f"in {text}, {name!r} of the curve differs between one process and two: {figure} and {two[name]}"
    return ""


def _drew(subject: Subject, text: str, row: Row) -> bool:
    """Tell whether an epoch drew from torch's own generator, which processes seed differently."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("step", scene.SEED, row["stage"], row["epoch"] - 1, 0))
        seeded = torch.get_rng_state()
    return not torch.equal(torch.get_rng_state(), seeded)
