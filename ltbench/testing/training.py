"""Checks of how a method trains: two steps on real digits, again, interrupted, saved, on awkward data, beside others."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ltbench.data.arrays import Ints
from ltbench.data.task_data import TaskData
from ltbench.method.kinds import kind_of
from ltbench.method.stack import evaluation_only, overrides
from ltbench.method.values import Seen
from ltbench.planning.plan import StagePlan
from ltbench.testing import scene
from ltbench.testing.probes import CLASSIFIER, LOSS, MIXER, OBSERVER, Counting, Observer
from ltbench.testing.results import Failure
from ltbench.testing.subject import Subject, Trained
from ltbench.training.budget import Budget
from ltbench.training.engine import Engine
from ltbench.training.files import load_tensors, save_tensors
from ltbench.training.loop import Row, measured
from ltbench.training.stages import StageRunner


class _Interrupted(Exception):
    """Stop a training at the end of an epoch, as a power cut would."""


def trains(subject: Subject) -> None:
    """Train two steps; the loss and every prediction must be finite, and the classifier of the kind that the method says."""
    for text in subject.expressions:
        trained = subject.trained(text)
        check_finite(text, trained)
        said, found = subject.usual.last(text)[0].leaves, kind_of(trained.engine.head)
        if said not in (None, found):
            raise Failure(f"{text} leaves {found!r}, but its method says that it leaves {said!r}")


def deterministic(subject: Subject) -> None:
    """Train again from the same seed, with the global generators elsewhere: every bit must be the same."""
    for text in subject.expressions:
        first = subject.trained(text)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(12345)
            again = subject.train_anew(text)
        _check_same(f"{text}, trained twice from one seed", first, again)


def save_and_load(subject: Subject) -> None:
    """Load the saved tensors into a newly built stage: it must say the same."""
    for text in subject.expressions:
        trained = subject.trained(text)
        with scene.scratch() as folder:
            save_tensors(folder / "engine.safetensors", trained.engine.state_dict(), {})
            fresh, _, _ = subject.usual.build(text, folder)
            fresh.load_state_dict(load_tensors(folder / "engine.safetensors")[0])
            fresh.eval()
            if not torch.equal(subject.usual.logits(fresh), trained.logits):
                raise Failure(f"{text} predicts differently after saving and loading")


def resumes(subject: Subject) -> None:
    """Interrupt the training after its first epoch and go on from the checkpoint: nothing must have been lost."""
    def interrupt(row: Row) -> None:
        raise _Interrupted

    for text in subject.expressions:
        if not subject.trained(text).losses:
            continue  # closed-form: there is no epoch to be interrupted in
        with scene.scratch() as folder:
            try:
                subject.usual.train(text, folder, interrupt)
            except _Interrupted:
                pass
            resumed = subject.train_anew(text, folder=folder)
        _check_same(f"{text}, interrupted and resumed", subject.trained(text), resumed)


def one_image(subject: Subject) -> None:
    """Train where the smallest class has a single image."""
    for text in subject.expressions:
        check_finite(f"{text} with a class of one image", subject.train_anew(text, subject.one_image))


def one_class(subject: Subject) -> None:
    """Take a step on batches that hold a single class, the largest and then the smallest."""
    for text in subject.expressions:
        for label in (0, len(subject.usual.data.class_counts) - 1):
            with scene.scratch() as folder:
                _step_on_one_class(subject, text, label, folder)


def _step_on_one_class(subject: Subject, text: str, label: int, folder: Path) -> None:
    engine, runner, plan = subject.usual.build(text, folder)
    for method in engine.stack.methods:
        method.fit(engine.ctx)
    if not engine.stack.trains:
        return
    order = np.flatnonzero(subject.usual.data.labels.numpy() == label)
    take_step(f"{text} on class {label} alone", engine, runner, plan, order, subject.usual.data)
    engine.eval()
    require_finite(f"the logits of {text} after class {label} alone", subject.usual.logits(engine))


def take_step(what: str, engine: Engine, runner: StageRunner, plan: StagePlan, order: Ints, data: TaskData) -> None:
    """Take one training step on given images, but for the optimizer's update; loss and gradients must be finite.

    Args:
        engine: Built and fitted; its stage trains.
        order: Positions in the training split, one global batch, shape (B,).
    """
    engine.train()
    for method in engine.stack.methods:
        method.start_epoch(engine.ctx)
    make = runner.loaders(engine, plan, Budget(1, len(order), len(order)), scene.SEED, data)
    parts = {name: next(make(name).epoch(order, 0))[0] for name in engine.stack.owner("streams").streams(engine.ctx)}
    loss, _, seen = engine(parts)
    loss.backward()
    require_finite(f"the loss of {what}", loss)
    for name, parameter in engine.named_parameters():
        if parameter.grad is not None:
            require_finite(f"the gradient of {name} in {what}", parameter.grad)
    engine.after_step(Seen.of(seen))
    for method in engine.stack.methods:
        method.end_epoch(engine.ctx)


def composes(subject: Subject) -> None:
    """Stand beside a method that only watches, beside others that the step must not leave out, and below a second stage."""
    method = subject.entry.load()
    for text in subject.expressions:
        if overrides(method, "step"):
            _check_heard(subject, text)
        later = "/" in text
        if not (later and evaluation_only(method)):  # a stage that only predicts has no training to watch
            _check_watched(subject, f"{text}+{OBSERVER}")
        if not later:
            check_finite(f"{text}/{CLASSIFIER}", subject.train_anew(f"{text}/{CLASSIFIER}"))


def _check_heard(subject: Subject, text: str) -> None:
    # A step that goes its own way would train the same thing whatever stands beside it, under another name.
    for slot, probe, way in (("mix", MIXER, "ctx.mix"), ("criterion", LOSS, "ctx.loss")):
        if overrides(subject.entry.load(), slot):
            continue
        owner = subject.train_anew(f"{text}+{probe}").engine.method(probe)
        assert isinstance(owner, Counting)
        if not int(owner.calls):
            raise Failure(f"the step of {text} leaves out what others of the stack do in {slot!r}: use {way}, or own {slot!r}")


def _check_watched(subject: Subject, text: str) -> None:
    trained = subject.train_anew(text)
    check_finite(text, trained)
    observer = trained.engine.method(OBSERVER)
    assert isinstance(observer, Observer)
    expected = scene.STEPS * scene.BATCH if trained.losses else 0
    watched = {"after_step(seen) shows": int(observer.samples), "extra_losses(step) shows": int(observer.outputs)}
    for where, count in watched.items():
        if count != expected:
            raise Failure(f"in {text}, {where} {count} samples with as many rows of features as labels, expected {expected}")


def measures(subject: Subject) -> None:
    """Measure before the first step and after the last: numbers, the same ones again, and everything as it was."""
    if not overrides(subject.entry.load(), "measure"):
        return
    for text in subject.expressions:
        with scene.scratch() as folder:
            engine, _, _ = subject.usual.build(text, folder)
            for method in engine.stack.methods:
                method.fit(engine.ctx)
            _check_measuring(f"{text} before the first step", engine)
        _check_measuring(f"{text} after training", subject.trained(text).engine)


def _check_measuring(what: str, engine: Engine) -> None:
    ctx = engine.ctx
    before = {name: value.clone() for name, value in engine.state_dict().items()}
    drawn, own = torch.get_rng_state(), ctx.generator.get_state()
    figures = measured(engine)
    for name, figure in figures.items():
        if not math.isfinite(figure):
            raise Failure(f"{name!r}, measured in {what}, must be finite, got {figure}")
    for name, value in engine.state_dict().items():
        if not torch.equal(value, before[name]):
            raise Failure(f"measuring {what} changes {name}")
    if not (torch.equal(drawn, torch.get_rng_state()) and torch.equal(own, ctx.generator.get_state())):
        raise Failure(f"measuring {what} draws random numbers from a generator that training draws from")
    again = measured(engine)
    if again != figures:
        raise Failure(f"measuring {what} twice gives {figures} and then {again}")


def check_finite(what: str, trained: Trained) -> None:
    """Require finite losses and predictions."""
    for loss in trained.losses:
        if not math.isfinite(loss):
            raise Failure(f"the loss of {what} must be finite, got {loss}")
    require_finite(f"the logits of {what}", trained.logits)


def require_finite(what: str, value: Tensor) -> None:
    """Require numbers; minus infinity is one, as a probability of zero."""
    # It is a row without any other value than minus infinity that says nothing.
    if torch.isnan(value).any() or (value == math.inf).any() or not torch.isfinite(value).any():
        raise Failure(f"{what} must be finite")


def _check_same(what: str, first: Trained, second: Trained) -> None:
    difference = first_difference(first.engine, second.engine)
    if difference:
        raise Failure(f"{what}: {difference} differs")
    if first.losses != second.losses:
        raise Failure(f"{what}: the losses differ, {first.losses} and {second.losses}")
    if not torch.equal(first.logits, second.logits):
        raise Failure(f"{what}: the logits differ, though every parameter and buffer is the same")


def first_difference(first: Engine, second: Engine) -> str | None:
    """Return the name of the first tensor in which two engines differ, or None."""
    others = second.state_dict()
    return next((name for name, value in first.state_dict().items() if not torch.equal(value, others[name])), None)


