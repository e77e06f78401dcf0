"""Text features of classes: a file of safetensors, one row a class, read by the classes' names.

Tensors: ``features``, shape (K, d), of K classes or more than a task has; ``projection``, shape (D, d), where image features have
D numbers before they are brought to the d of the text, as CLIP's. Metadata: ``classes``, a JSON list of the K names; ``model``
and ``templates`` tell where they come from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

import ltbench


def write_text_features(path: Path, features: Tensor, classes: Sequence[str], projection: Tensor | None = None,
                        metadata: Mapping[str, str] | None = None) -> None:
    """Write a file.

    Args:
        features: Shape (K, d).
        classes: K names.
        projection: Shape (D, d); None where image features have d numbers.
        metadata: More that it says of itself.
    """
    tensors = {"features": features.float().contiguous()}
    if projection is not None:
        tensors["projection"] = projection.float().contiguous()
    try:
        save_file(tensors, path, {**(metadata or {}), "classes": json.dumps(list(classes), ensure_ascii=False)})
    except (OSError, SafetensorError) as error:
        raise ltbench.UserError(f"--out must be a file that can be written, got {path}: {error}") from error


def read_text_features(name: str, sha256: str, class_names: Sequence[str], dim: int) -> Tensor:
    """Return a row for each class in the space of image features, float32, shape (C, D).

    A class is looked for by its name as it is, then by its words in lower case: ``maple_tree`` is ``Maple Tree``.

    Args:
        name: Of the file, relative to the working folder.
        sha256: How its hash begins, in hexadecimal.
        class_names: C of them.
        dim: D.

    Raises:
        UserError: If it is not there, is another file, holds something else, or lacks a class.
    """
    file = ltbench.ClassFile("text", "a safetensors file of text features (ltbench text-features writes one)", name, sha256)
    try:
        content = file.path().read_bytes()
    except OSError as error:
        raise file.unreadable(error) from error
    file.require(hashlib.sha256(content).hexdigest())
    features, classes, projection = _parsed(content, name)
    rows = {" ".join(ltbench.words_of(each)): row for row, each in reversed(list(enumerate(classes)))}
    rows |= {each: row for row, each in reversed(list(enumerate(classes)))}  # whole names come before their words
    found = [rows.get(each, rows.get(" ".join(ltbench.words_of(each)))) for each in class_names]
    if missing := [each for each, row in zip(class_names, found, strict=True) if row is None]:
        raise file.lacking("a row", missing)
    features = features[[row for row in found if row is not None]]
    if projection is not None and projection.shape[0] == dim:
        return features @ projection.T  # <x P, t> = <x, P t>: what the text says of an image is read off the image's own features
    if features.shape[1] != dim:
        raise ltbench.UserError(f"text_file must hold features of {dim} numbers, as the backbone gives, or a projection of shape "
                                f"({dim}, {features.shape[1]}); {name} has features of {features.shape[1]} numbers and "
                                f"{'no projection' if projection is None else f'a projection of {tuple(projection.shape)}'}")
    return features


def _parsed(content: bytes, name: str) -> tuple[Tensor, list[str], Tensor | None]:
    """Return features, the names of their classes, and the projection."""
    try:
        tensors = load(content)
        header = json.loads(content[8:8 + int.from_bytes(content[:8], "little")])
        classes = json.loads(header["__metadata__"]["classes"])
        features, projection = tensors["features"].float(), tensors.get("projection")
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ltbench.UserError(f"text_file must be safetensors with a tensor 'features' and its 'classes' as a JSON list in the "
                                f"metadata, got {name}") from error
    if not (isinstance(classes, list) and features.dim() == 2 and len(features) == len(classes) and
            bool(torch.isfinite(features).all()) and bool(features.any(dim=1).all())):
        raise ltbench.UserError(f"text_file must hold a row of finite numbers, not all 0, for each of its classes, got features "
                                f"of shape {tuple(features.shape)} and {len(classes)} classes in {name}")
    if projection is not None and (projection.dim() != 2 or projection.shape[1] != features.shape[1]):
        raise ltbench.UserError(f"text_file must hold a projection of shape (D, {features.shape[1]}), got "
                                f"{tuple(projection.shape)} in {name}")
    return features, [str(each) for each in classes], projection if projection is None else projection.float()
