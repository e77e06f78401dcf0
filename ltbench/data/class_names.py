"""What classes are called, as far as the data says it.

A dataset says it. Where all it says is a number (``class 17``, of a set that is known by its lists alone), the folders of the
images do, if each class has one of its own; those that are called by WordNet's numbers, as ImageNet's are, have the words of
timm's table.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltbench.data.base import Dataset
    from ltbench.data.encoded import EncodedImages
    from ltbench.data.parts import ImageSource

_WORDNET = re.compile(r"n\d{8}")


def known_names(dataset: Dataset, train: ImageSource | None) -> Sequence[str] | None:
    """Return the names of a dataset's classes in the order of the labels; None where there are but numbers.

    Args:
        train: The training part, whose folders may say more than the dataset does; None where it is not there.
    """
    from ltbench.data.encoded import EncodedImages  # and torch, which who reads records alone does without

    names: Sequence[str] | None = dataset.class_names
    if numbered(dataset.class_names):
        folders = _folders(train, dataset.num_classes) if isinstance(train, EncodedImages) else None
        names = folders or said(dataset.class_names)
    return None if names is None else _in_words(names)


def told_names(dataset: Dataset, train: ImageSource | None) -> tuple[str, ...]:
    """Return C names as methods are told them: the known ones, or the dataset's numbers where there are none."""
    return tuple(known_names(dataset, train) or dataset.class_names)


def numbered(names: Iterable[str]) -> bool:
    """Tell whether names end with the numbers of their classes: ``0``, ``1``, or ``class 0``, ``class 1``."""
    return all(name.rpartition(" ")[2] == str(k) for k, name in enumerate(names))


def said(names: Sequence[str]) -> Sequence[str] | None:
    """Return names unless each is a word with its number, which says nothing; a bare number may be a digit's."""
    return None if numbered(names) and any(" " in name for name in names) else names


def _folders(images: EncodedImages, num_classes: int) -> list[str] | None:
    """Return the folder of each class without what all have in common; None unless each class has one of its own."""
    found: dict[int, bytes] = {}
    for name, label in zip(images.paths.names(), images.labels.tolist(), strict=True):
        folder = name.rpartition(b"/")[0]
        if found.setdefault(label, folder) != folder:
            return None
    if not len(found) == len(set(found.values())) == num_classes:
        return None
    parts = [os.fsdecode(found[label]).split("/") for label in range(num_classes)]
    start = len(os.path.commonprefix(parts))
    end = len(os.path.commonprefix([part[:start - 1 if start else None:-1] for part in parts]))
    return ["/".join(part[start:len(part) - end]) or "/".join(part) for part in parts]


def _in_words(names: Sequence[str]) -> Sequence[str]:
    """Return what WordNet calls its numbers, with the number where two are called alike; other names as they are."""
    if not all(_WORDNET.fullmatch(name) for name in names):
        return names
    from timm.data.imagenet_info import ImageNetInfo

    table = ImageNetInfo("imagenet-22k")
    words = []
    for name in names:
        try:
            words.append(table.label_name_to_description(name).partition(",")[0])
        except KeyError:
            words.append(name)
    often = Counter(words)
    return [f"{word} ({name})" if often[word] > 1 else word for name, word in zip(names, words, strict=True)]
