"""Weights that others trained, in a timm model: where they lie, what they want to see, whether they fit."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import floor
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from torch import Tensor

from ltbench.backbones.checkpoint import Checkpoint
from ltbench.backbones.request import BackboneRequest
from ltbench.backbones.timm_family import create
from ltbench.errors import UserError

# timm's own order: the formats that hold no code come first.
_FILES = ("model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin")
_OPENAI = {"input_resolution", "context_length", "vocab_size"}  # which no other CLIP has among its tensors
_MARK = 1024.0


@dataclass(frozen=True)
class Input:
    """Tell how a model was shown images when its weights were trained.

    Args:
        mean: Per channel, of pixels in [0, 1], as ``std``.
        crop: Side of the middle that is cut out, as a fraction of the image's shorter side.
        interpolation: ``bilinear`` or ``bicubic``.
        crop_mode: What is scaled to ``resized``: ``center``, the shorter side; ``squash``, both sides.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    crop: float
    interpolation: str = "bilinear"
    crop_mode: str = "center"

    @property
    def resized(self) -> int:
        """What images in files are scaled to before the middle is cut out, in pixels; truncated, as timm does it."""
        return floor(self.size / self.crop)


def input_of(name: str) -> Input:
    """Return what timm writes down for a model's weights.

    Raises:
        UserError: If timm does not know it, its images are not squares of three channels or are prepared in a way that is not
            known here, or the weights belong into another model.
    """
    cfg = _config(name)
    channels, height, width = cfg.input_size
    if (channels, height) != (3, width):
        raise UserError(f"timm:{name} must read squares of 3 channels, got {channels} x {height} x {width}")
    if cfg.crop_mode not in ("center", "squash"):
        raise UserError(f"timm:{name} wants images cut by crop_mode {cfg.crop_mode!r}; ltbench does 'center' and 'squash'")
    if cfg.interpolation not in ("bilinear", "bicubic"):
        raise UserError(f"timm:{name} wants images scaled by {cfg.interpolation!r}; ltbench does 'bilinear' and 'bicubic'")
    if any("QuickGELU" in note for note in cfg.notes or ()):
        _require_quick_gelu(name, f"the weights timm:{name}")
    return Input(tuple(cfg.mean), tuple(cfg.std), int(height), float(cfg.crop_pct), cfg.interpolation, cfg.crop_mode)


def _require_quick_gelu(name: str, what: str) -> None:
    """Refuse weights that were trained with QuickGELU in a model with GELU, which timm allows: the features would be others."""
    if "quickgelu" not in name:
        right = name.replace("_clip_", "_clip_quickgelu_")
        hint = f": use --backbone timm:{right}" if right != name and timm.is_model(right) else ""
        raise UserError(f"{what} were trained with QuickGELU, and the model computes GELU{hint}")


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


def tensors_of(name: str, *, classifier: bool = True) -> dict[str, Tensor]:
    """Return the tensors of a timm model, in timm's order, without numbers in them.

    Args:
        classifier: Whether those of its classifier are among them.
    """
    with torch.device("meta"):
        model = timm.create_model(name) if classifier else timm.create_model(name, num_classes=0)
        return dict(model.state_dict())


def fit_weights(request: BackboneRequest, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Return the tensors of a timm model that was given a file's: renamed and split as timm does it for this model.

    Where images are shown at another size than the model's own, position embeddings of its own size are resampled as timm does
    it, and a line says so.

    Raises:
        UserError: If tensors are missing or of another shape, naming how many and the first.
    """
    checkpoint = checkpoint.fitting(tensors_of(request.name, classifier=False))  # which may stand bare beside the rest
    if _OPENAI <= checkpoint.tensors.keys():
        _require_quick_gelu(request.name, f"the weights in {checkpoint.path}")
    own = replace(request, image_size=_config(request.name).input_size[1])
    try:
        _require_copies(request, checkpoint)
        tensors = _given(request, checkpoint.tensors, checkpoint.path)
    except _Resampled as error:
        if own == request:
            raise
        _require_copies(own, checkpoint)
        tensors = _given(request, _given(own, checkpoint.tensors, checkpoint.path), checkpoint.path)
        print(f"{checkpoint.path}: {error.first!r} is resampled for images of {request.image_size} pixels, from {own.image_size}",
              file=sys.stderr)
    checkpoint.tell()
    return tensors


class _Resampled(UserError):
    """Say that a tensor of the model would be computed from one of another size.

    Args:
        first: Its name.
    """

    def __init__(self, message: str, first: str) -> None:
        super().__init__(message)
        self.first = first


def _require_copies(request: BackboneRequest, checkpoint: Checkpoint) -> None:
    """Refuse what timm would do in silence: leave tensors at random, or resample them.

    It does not tell what a file lacked. Marks do: of plus and minus 1,024 at random, wherever none arrives the file gave nothing,
    and what is resampled mixes them.
    """
    tensors, path = checkpoint.tensors, checkpoint.path
    generator = torch.Generator().manual_seed(0)
    marks = {name: (2 * torch.randint(2, value.shape, generator=generator, dtype=torch.float32) - 1) * _MARK
             if value.is_floating_point() else value for name, value in tensors.items()}
    marked = {name: value for name, value in _given(request, marks, path).items() if value.is_floating_point() and value.numel()}
    missing = [name for name, value in marked.items() if not (value.abs() == _MARK).any() and not _mixes(value)]
    if missing:
        raise UserError(f"{path} does not fit timm:{request.name}: {len(missing)} of {len(marked)} tensors are missing, first "
                        f"{missing[0]!r}")
    shapes = {value.shape for value in tensors.values()}
    mixed = [name for name, value in marked.items() if value.shape not in shapes and _mixes(value)]
    if mixed:
        wanted = " x ".join(map(str, marked[mixed[0]].shape))
        raise _Resampled(f"{path} does not fit timm:{request.name}: {len(mixed)} tensors are of another size and would be "
                         f"resampled, first {mixed[0]!r}, which must be {wanted}", mixed[0])


def _mixes(value: Tensor) -> bool:
    """Tell whether a tensor holds numbers that were computed from marks; initial ones are small, and 0 stands beside marks."""
    return bool(((value != 0) & (value.abs() != _MARK)).any() and (value.abs() > _MARK / 64).any())


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
