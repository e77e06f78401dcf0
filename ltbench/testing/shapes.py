"""Checks of what a method gives: shapes and types, in full and in mixed precision, on a GPU or its stand-in."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import torch
from torch import Tensor

from ltbench.data.view import plain_view
from ltbench.testing.results import Failure
from ltbench.testing.stand_in import free_memory, stand_in
from ltbench.testing.subject import Subject, Trained
from ltbench.testing.training import check_finite
from ltbench.training import features
from ltbench.training.engine import Engine

_FEW = 6


def shapes(subject: Subject) -> None:
    """Look at the shape and the type of what every slot gives."""
    for text in subject.expressions:
        engine = subject.trained(text).engine
        images, labels = _few(subject)
        with torch.no_grad():
            _check_output(text, engine, images)
            _check_losses(text, engine, engine.output(images).logits, labels)
        _check_types(text, engine)


def _few(subject: Subject) -> tuple[Tensor, Tensor]:
    data = subject.usual.data
    plain = plain_view(data.dataset)
    positions = data.test_indices[:_FEW]
    return plain(data.parts.test.fetch(positions), positions, 0, 0), data.parts.test.labels[positions]


def _check_output(text: str, engine: Engine, images: Tensor) -> None:
    classes, width = engine.ctx.facts.num_classes, engine.backbone.feature_dim
    output = engine.output(images)
    _require(f"the embedding of {text}", output.embedding, (_FEW, width))
    _require(f"the features of {text}", output.features, (_FEW, None))
    _require(f"the logits of {text}", output.logits, (_FEW, classes))
    _require(f"the prediction of {text}", engine.predict(images), (_FEW, classes))


def _check_losses(text: str, engine: Engine, logits: Tensor, labels: Tensor) -> None:
    ctx = engine.ctx
    _require(f"the criterion's losses in {text}", ctx.criterion(logits, labels), (_FEW,))
    weights = ctx.class_weights()
    if weights is not None:
        _require(f"the class weights of {text}", weights, (ctx.facts.num_classes,))


def _check_types(text: str, engine: Engine) -> None:
    for name, value in engine.state_dict().items():
        if value.is_floating_point() and value.dtype != torch.float32:
            raise Failure(f"{name} in {text} must be float32, as all of the model, got {_name(value.dtype)}")


def _require(what: str, value: object, shape: tuple[object, ...]) -> None:
    wanted = "(" + ", ".join("d" if size is None else str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
    if not isinstance(value, Tensor):
        raise Failure(f"{what} must be a tensor of shape {wanted}, got {type(value).__name__}")
    found = tuple(value.shape)
    if len(found) != len(shape) or any(size is not None and size != got for size, got in zip(shape, found, strict=True)):
        raise Failure(f"{what} must have shape {wanted}, got {found}")
    if value.dtype != torch.float32:
        raise Failure(f"{what} must be float32, got {_name(value.dtype)}")


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")


def bf16(subject: Subject) -> None:
    """Train two steps in bfloat16 autocast; losses and predictions must be finite, and the weights stay float32."""
    place = replace(subject.usual, precision="bf16", before={})
    for text in subject.expressions:
        trained = subject.train_anew(text, place)
        check_finite(f"{text} in bfloat16", trained)
        _check_types(f"{text} in bfloat16", trained.engine)


def devices(subject: Subject) -> None:
    """Train on a GPU, or on a stand-in for one: nothing may stay behind on the CPU, and features may be too large for the GPU."""
    here = torch.cuda.is_available()
    for memory, where in ((1 << 36, "on a GPU"), (0, "on a GPU that has no room for features")):
        with free_memory(memory) if here else stand_in(memory), mock.patch.object(features, "IN_MEMORY", memory):
            place = replace(subject.usual, cpu=not here, before={})
            for text in subject.expressions:
                if memory or "/" in text:  # the features of a first stage change, and are not kept
                    _check_place(f"{text} {where}", subject.train_anew(text, place))


def _check_place(what: str, trained: Trained) -> None:
    check_finite(what, trained)
    for name, value in trained.engine.state_dict().items():
        if value.device.type != "cuda":
            raise Failure(f"{name} of {what} must be there, got {value.device}")
