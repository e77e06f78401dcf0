"""Files of the user's that hold something for every class by its name: where they may lie, which they are, what they lack."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from ltbench.errors import UserError

_DIGITS = 16  # of the hash, at least
_NAMED = 5  # classes in one error


def words_of(name: str) -> tuple[str, ...]:
    """Return the words that a class's name is made of, lower case: those of ``maple_tree`` are ``maple`` and ``tree``.

    Args:
        name: Of a class.
    """
    return tuple(word for word in re.split(r"[\s_\-/,.]+", name.lower()) if word)


@dataclass(frozen=True)
class ClassFile:
    """Name a file by two hyperparameters, such as ``vectors_file`` and ``vectors_sha256``, so that a stage's key tells which.

    Planning a run opens what such a pair names, whatever the method, and compares the hash: see :func:`named_files`.

    Args:
        option: What both begin with.
        holds: In words, such as "a text file of word vectors".
        name: Of the file, relative to the working folder: records name no place of one machine.
        sha256: How its hash begins, in hexadecimal.
    """

    option: str
    holds: str
    name: str
    sha256: str

    def path(self) -> Path:
        """Return where it is.

        Raises:
            UserError: If none is named, or one outside of the working folder.
        """
        if not self.name:
            raise UserError(f"{self.option}_file must name {self.holds}, got none")
        if PurePath(self.name).is_absolute() or ".." in PurePath(self.name).parts:
            raise UserError(f"{self.option}_file must be below the folder that ltbench is run in, got {self.name}")
        return Path(self.name)

    def unreadable(self, error: OSError) -> UserError:
        """Return what is said of a file that cannot be read."""
        return UserError(f"{self.option}_file must be a file that can be read, got {self.name}: {error.strerror}")

    def require(self, digest: str) -> None:
        """Refuse another file than the one that was meant.

        Args:
            digest: Its sha256.
        """
        if len(self.sha256) < _DIGITS or not digest.startswith(self.sha256.lower()):
            raise UserError(f"{self.option}_sha256 must be {digest[:_DIGITS]} (or more of it) for {self.name}, got {self.sha256}")

    def check(self) -> None:
        """Open the file, and refuse another one than the one that was meant.

        Raises:
            UserError: If it is not there, or is another file.
        """
        path = self.path().absolute()
        try:
            state = path.stat()
            self.require(_digest(path, state.st_size, state.st_mtime_ns))
        except OSError as error:
            raise self.unreadable(error) from error

    def lacking(self, what: str, classes: Sequence[str]) -> UserError:
        """Return what is said of a file that has nothing for some classes, naming the first of them.

        Args:
            what: That every class needs, in words.
        """
        shown = ", ".join(map(repr, classes[:_NAMED])) + (f" and {len(classes) - _NAMED} more" if len(classes) > _NAMED else "")
        return UserError(f"{self.option}_file must have {what} for every class, {self.name} has none for {shown}")


def named_files(values: Mapping[str, Any]) -> list[ClassFile]:
    """Return the file of each ``X_file`` that stands beside an ``X_sha256``; it has no name where none is given.

    Args:
        values: Every hyperparameter of a method.
    """
    options = [name.removesuffix("_file") for name in values if name.endswith("_file")]
    return [ClassFile(option, "a file", *(_given(values[f"{option}_{end}"]) for end in ("file", "sha256")))
            for option in options if f"{option}_sha256" in values]


@functools.lru_cache(maxsize=8)  # word vectors have gigabytes, and every seed is planned
def _digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _given(value: Any) -> str:
    return "" if value in (None, "none") else str(value)
