"""Word vectors of class names, read from a text file that word2vec or its relatives wrote."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

import ltbench


@functools.lru_cache(maxsize=2)
def read_class_vectors(name: str, sha256: str, class_names: tuple[str, ...]) -> Tensor:
    """Return a unit vector for each class, float32, shape (C, d).

    A class's whole name is looked for first, as it is and in lower case, with its words joined by underscores as phrases are;
    where the file has none of these, the vectors of its words are averaged.

    Args:
        name: Of the file, relative to the working folder: records name no place of one machine. Each line is a word and its
            numbers; a first line with two numbers is the header that word2vec writes.
        sha256: How the file's hash begins, in hexadecimal.
        class_names: C of them.

    Raises:
        UserError: If it is not there, is another file, is damaged, or lacks a class.
    """
    file = ltbench.ClassFile("vectors", "a text file of word vectors", name, sha256)
    choices = [_choices(each) for each in class_names]
    wanted = {word for each in choices for group in each for word in group}
    found, digest = _read(file, wanted)
    file.require(digest)
    rows = [_mean(each, found) for each in choices]
    if missing := [each for each, row in zip(class_names, rows, strict=True) if row is None]:
        raise file.lacking("a vector", missing)
    return F.normalize(torch.stack([row for row in rows if row is not None]), dim=1)


def _choices(name: str) -> list[tuple[str, ...]]:
    words = ltbench.words_of(name)
    return [(name,), (name.lower(),), ("_".join(words),), words]


def _mean(choices: Sequence[tuple[str, ...]], found: Mapping[str, Tensor]) -> Tensor | None:
    for group in choices:
        if group and all(word in found for word in group):
            return torch.stack([found[word] for word in group]).mean(dim=0)
    return None


def _read(file: ltbench.ClassFile, wanted: set[str]) -> tuple[dict[str, Tensor], str]:
    """Return the vectors of wanted words, the first of each, and the file's sha256, in one pass over it."""
    found: dict[str, Tensor] = {}
    hashed = hashlib.sha256()
    try:
        with file.path().open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                hashed.update(line)
                word, *numbers = line.rstrip().split(b" ")
                text = word.decode("utf-8", errors="replace")
                if text in wanted and text not in found and not (number == 1 and len(numbers) == 1):
                    found[text] = _vector(numbers, f"line {number} of {file.name}")
    except OSError as error:
        raise file.unreadable(error) from error
    if len({len(vector) for vector in found.values()}) > 1:
        raise ltbench.UserError(f"vectors_file must hold vectors of one length, got {file.name}")
    return found, hashed.hexdigest()


def _vector(numbers: Sequence[bytes], where: str) -> Tensor:
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        values = []
    if len(values) < 2 or not all(map(math.isfinite, values)) or not any(values):
        raise ltbench.UserError(f"{where} must hold a word and two or more numbers, not all of them 0")
    return torch.tensor(values)
