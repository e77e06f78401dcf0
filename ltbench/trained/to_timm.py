"""A model on a backbone of timm as timm's own files: weights with a linear classifier, and a configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from ltbench.backbones.pretrained import FAMILY
from ltbench.backbones.resized import Resized, Scaled
from ltbench.backbones.timm_family import TimmBackbone
from ltbench.errors import UserError
from ltbench.system.atomic import write_whole
from ltbench.trained.card import describe
from ltbench.trained.linear import linear_classifier
from ltbench.trained.network import some_images
from ltbench.trained.recall import Trained
from ltbench.training.files import not_written, save_tensors

WEIGHTS, CONFIG = "model.safetensors", "config.json"
_TOLERANCE = 1e-3  # of log-probabilities, computed in another order


def export_timm(trained: Trained, folder: Path) -> Mapping[str, Any]:
    """Write ``model.safetensors``, which ``timm.create_model(..., checkpoint_path=...)`` reads, and ``config.json``.

    Returns:
        The configuration.

    Raises:
        UserError: If the backbone is none of timm's, or the model does not end in a linear classifier.
    """
    name = trained.plan.stages[0].protocol.backbone
    backbone = trained.engine.trained.backbone
    before = backbone.scale if isinstance(backbone, Resized | TimmBackbone) else None
    scale = before if isinstance(before, Scaled) else None
    within = backbone.backbone if isinstance(backbone, Resized) else backbone
    if not name.startswith(FAMILY) or not isinstance(within, TimmBackbone):
        raise UserError(f"--to timm needs one backbone of timm, got {name} of {trained.record.expression}: export it to "
                        ".safetensors or .onnx")
    if trained.flip:
        raise UserError("--to timm cannot average over mirror images, as this run's protocol does: export it to .onnx")
    images = some_images(trained)
    weight, bias = linear_classifier(trained.engine, images)
    model, classifier = _model(name.removeprefix(FAMILY), trained, scale)
    state = {**within.model.state_dict(), f"{classifier}.weight": weight, f"{classifier}.bias": bias}
    wanted = model.state_dict()
    differing = sorted(state.keys() ^ wanted.keys()) or [key for key in state if state[key].numel() != wanted[key].numel()]
    if differing:
        raise UserError(f"{name} has no linear classifier that fits the features: {differing[0]!r} is in one of both alone")
    state = {key: value.reshape(wanted[key].shape) for key, value in state.items()}
    model.load_state_dict(state)
    _check(model, trained, images, scale)
    config = _config(name.removeprefix(FAMILY), classifier, trained, scale)
    save_tensors(folder / WEIGHTS, state, describe(trained))
    try:
        write_whole(folder / CONFIG, (json.dumps(config, indent=1) + "\n").encode())
    except OSError as problem:
        raise not_written(folder / CONFIG, problem) from problem
    return config


def _model(name: str, trained: Trained, scale: Scaled | None) -> tuple[nn.Module, str]:
    """Return timm's model with a classifier for the task's classes, and the classifier's name."""
    dataset = trained.data.dataset
    cfg = timm.get_pretrained_cfg(name)
    parts: dict[str, Any] = {"num_classes": dataset.num_classes, "in_chans": dataset.channels}
    with torch.random.fork_rng(devices=[]):
        try:
            fixed = {"img_size": scale.size if scale else dataset.image_size} if cfg is not None and cfg.fixed_input_size else {}
            model: Any = timm.create_model(name, **{**parts, **fixed})
        except TypeError:  # this one cannot be laid out anew, see ltbench.backbones.timm_family
            model = timm.create_model(name, **parts)
    classifier = model.pretrained_cfg.get("classifier")
    if not isinstance(classifier, str):
        raise UserError(f"timm:{name} has no one classifier, got {classifier}: export it to .onnx")
    return model.eval(), classifier


@torch.no_grad()
def _check(model: nn.Module, trained: Trained, images: Tensor, scale: Scaled | None) -> None:
    """Refuse files that say something else than the model."""
    given = model(images if scale is None else scale(images)).log_softmax(dim=1)
    wanted = trained.engine.predict(images).log_softmax(dim=1)
    if not torch.allclose(given, wanted, atol=_TOLERANCE, rtol=_TOLERANCE):
        raise UserError("its form for timm says something else than the model on test images, and was not written")


def _config(name: str, classifier: str, trained: Trained, scale: Scaled | None) -> dict[str, Any]:
    """Return what timm reads of a folder (``local-dir:``), with the card beside."""
    card = describe(trained)
    seen = card["preprocessing"]
    side = scale.size if scale else seen["size"][0]
    enlarged = scale is not None and side != seen["size"][0]  # images in memory, by the backbone
    architecture, _, tag = name.partition(".")
    return {
        "architecture": architecture,
        "num_classes": trained.data.dataset.num_classes,
        "label_names": card["classes"],
        "pretrained_cfg": {
            "tag": tag or "ltbench", "custom_load": False, "input_size": [trained.data.dataset.channels, side, side],
            "fixed_input_size": False, "interpolation": scale.interpolation if scale and enlarged else seen["interpolation"],
            "crop_pct": seen["size"][0] / seen["shorter_side"], "crop_mode": seen["crop"], "mean": seen["mean"],
            "std": seen["std"], "num_classes": trained.data.dataset.num_classes, "classifier": classifier, "first_conv": None,
        },
        "ltbench": card,
    }
