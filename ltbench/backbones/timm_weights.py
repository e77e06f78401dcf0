"""Weights that others trained, in a timm model: where they lie, what they want to see, whether they fit."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from timm.models import load_state_dict
from torch import Tensor

from ltbench.backbones.request import BackboneRequest
from ltbench.backbones.timm_family import create
from ltbench.errors import UserError

# timm's own order: the formats that hold no code come first.
_FILES = ("model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin")


@dataclass(frozen=True)
class Input:
    """Tell how a model was shown images when its weights were trained.

    Args:
        mean: Per channel, of pixels in [0, 1], as ``std``.
        crop: Side of the middle that is cut out, as a fraction of the image's shorter side.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    crop: float


def input_of(name: str) -> Input:
    """Return what timm writes down for a model's weights.

    Raises:
        UserError: If timm does not know it, or its images are not squares of three channels.
    """
    cfg = _config(name)
    channels, height, width = cfg.input_size
    if (channels, height) != (3, width):
        raise UserError(f"timm:{name} must read squares of 3 channels, got {channels} x {height} x {width}")
    return Input(tuple(cfg.mean), tuple(cfg.std), int(height), float(cfg.crop_pct))


def find_weights(name: str, *, download: bool) -> Path:
    """Return the file of timm's own weights in the local cache of the Hugging Face hub.

    Args:
        download: Whether the network may be used where the file is not there; nothing touches it otherwise.
    """
    hub = _config(name).hf_hub_id
    if not hub:
        raise UserError(f"timm offers no weights of {name!r} on the hub: give a file with --weights FILE")
    for file in _FILES:
        found = try_to_load_from_cache(hub, file)
        if isinstance(found, str):
            return Path(found)
    if not download:
        raise UserError(f"the weights of timm:{name} ({hub}) are not in the local cache: add --download, or give a file with "
                        "--weights FILE")
    try:
        return Path(hf_hub_download(hub, _FILES[0]))
    except Exception as error:  # no network, no such file, a disk that is full: the hub has an exception for each
        raise UserError(f"the weights of timm:{name} ({hub}) cannot be downloaded ({type(error).__name__}): give a file with "
                        "--weights FILE") from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file of tensors, which cannot run code: safetensors, or torch's format without pickled objects."""
    try:
        content = load_state_dict(str(path), weights_only=True)
        tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    except Exception as error:  # every format has errors of its own
        raise UserError(f"{path} cannot be read: it must be a safetensors file, or a torch file of tensors alone") from error
    if not tensors:
        raise UserError(f"{path} must hold the tensors of a model by name, got none")
    return tensors


def fit_weights(request: BackboneRequest, tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the tensors of a timm model that was given a file's: renamed, split and resampled as timm does it for this model.

    Raises:
        UserError: If tensors are missing or of another shape, naming how many and the first.
    """
    # timm does not tell what a file lacked. Not-a-numbers do: wherever they do not arrive, the file gave nothing.
    marks = {name: torch.full_like(value, torch.nan) if value.is_floating_point() else value for name, value in tensors.items()}
    marked = _given(request, marks, path)
    missing = [name for name, value in marked.items() if value.is_floating_point() and value.numel() and not value.isnan().any()]
    if missing:
        raise UserError(f"{path} does not fit timm:{request.name}: {len(missing)} of {len(marked)} tensors are missing, first "
                        f"{missing[0]!r}")
    return _given(request, tensors, path)


def _given(request: BackboneRequest, tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    logger = logging.getLogger("timm.models")
    level = logger.level
    logger.setLevel(logging.ERROR)  # a classifier that is left out is no surprise
    try:
        with torch.random.fork_rng(devices=[]):
            return dict(create(request, tensors).state_dict())
    except UserError:
        raise
    except Exception as error:  # timm's models rename what they are given in many ways
        shapes = re.findall(r"size mismatch for ([^:\s]+):", str(error))
        reason = (f"{len(shapes)} tensors are of another shape, first {shapes[0]!r}" if shapes
                  else f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
        raise UserError(f"{path} does not fit timm:{request.name}: {reason}") from error
    finally:
        logger.setLevel(level)


def _config(name: str) -> Any:
    try:
        cfg = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    except RuntimeError as error:  # of an unknown tag behind the name's dot
        raise UserError(f"unknown timm model {name!r}: {error}") from error
    if cfg is None:
        raise UserError(f"timm knows no weights of {name!r}, so nothing says how they want images")
    return cfg
