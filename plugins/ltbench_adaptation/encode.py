"""Sentences to text features, by a CLIP of open_clip."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import ltbench

_AT_ONCE = 256  # sentences
_WORDNET = re.compile(r" \(n\d{8}\)$")  # which tells "crane (n02012849)" from the other crane, and is no word


def encode(classes: Sequence[str], templates: Sequence[str], model: str, weights: str, *,
           download: bool = False) -> tuple[Tensor, Tensor | None]:
    """Return the mean feature of each class's sentences and the projection of image features, where the model has one.

    Args:
        classes: K names; underscores in them are read as spaces, and WordNet's number after two that are alike is left out.
        templates: Sentences with ``{}`` for the name.
        model: open_clip's name.
        weights: A file, or a tag that open_clip knows.
        download: Whether those of a tag may be fetched.

    Returns:
        Shape (K, d), each the mean of unit features, and shape (D, d).

    Raises:
        UserError: If open_clip is not installed, or the model or its weights are not there.
    """
    try:
        import open_clip
    except ImportError as error:
        raise ltbench.UserError("text features need open_clip: pip install 'ltbench[text]'; or write a file yourself, see "
                                "docs/foundation-features.md") from error
    if model not in open_clip.list_models():
        raise ltbench.UserError(f"--model must be one of open_clip.list_models(), got {model!r}")
    if not Path(weights).is_file():
        tags = open_clip.list_pretrained_tags_by_model(model)
        if weights not in tags:
            raise ltbench.UserError(f"--weights must be a file, or a tag of {model} ({', '.join(tags) or 'which has none'}), got "
                                    f"{weights}")
        if not download:
            weights = _cached(open_clip, model, weights)
    try:
        built = open_clip.create_model(model, pretrained=weights, weights_only=True).eval()
    except Exception as error:  # of a file that is no checkpoint of this model, or no network
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ltbench.UserError(f"--weights {weights} cannot be read as {model}: {reason:.200}") from error
    return features_of(built, open_clip.get_tokenizer(model), classes, templates), projection_of(built)


def _cached(open_clip: Any, model: str, tag: str) -> str:
    from huggingface_hub import try_to_load_from_cache

    config = open_clip.get_pretrained_cfg(model, tag)
    hub = str(config.get("hf_hub") or "").rstrip("/")
    for file in ("open_clip_model.safetensors", "open_clip_pytorch_model.bin") if hub else ():
        found = try_to_load_from_cache(hub, file)
        if isinstance(found, str):
            return found
    raise ltbench.UserError(f"the weights {tag!r} of {model} are not in the local cache: add --download, or give a file")


@torch.no_grad()
def features_of(model: Any, tokenizer: Any, classes: Sequence[str], templates: Sequence[str]) -> Tensor:
    """Return the mean over templates of unit text features, shape (K, d)."""
    total: Tensor | None = None
    for template in templates:
        sentences = [template.replace("{}", _WORDNET.sub("", name).replace("_", " ")) for name in classes]
        parts = [F.normalize(model.encode_text(tokenizer(sentences[first:first + _AT_ONCE])).float(), dim=1)
                 for first in range(0, len(sentences), _AT_ONCE)]
        features = torch.cat(parts)
        total = features if total is None else total + features
    assert total is not None
    return total / len(templates)


def projection_of(model: Any) -> Tensor | None:
    """Return what brings features of the image tower to those of the text, shape (D, d); None where nothing does.

    timm's models without a classifier give features before it.
    """
    visual = model.visual
    projection = getattr(visual, "proj", None)
    if isinstance(projection, Tensor):  # open_clip's own transformer: x @ proj
        return projection.detach().float()
    head = getattr(getattr(visual, "head", None), "proj", None)
    if isinstance(head, torch.nn.Linear):  # a tower of timm's
        return head.weight.detach().float().T
    return None
