"""Datasets of image files: where their lists and folders lie, and what of them is needed before a training."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from ltbench.data.arrays import Ints
from ltbench.data.base import Dataset
from ltbench.data.files import FileImages
from ltbench.data.lists import Listed, read_list
from ltbench.data.packed import find_pack, read_pack
from ltbench.data.parts import Parts
from ltbench.data.shift_lists import read_shifts
from ltbench.errors import MissingData, UserError
from ltbench.system.settings import cache_root

# Of ImageNet: images of every size, seen at 224 pixels after their shorter side was scaled to 256.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LARGE, LARGE_RESIZED = 224, 256
WINDOWS = ("random_resized_crop", "flip")


class FileDataset(Dataset):
    """Read which images there are, and leave them in their files.

    Attributes:
        folders: Names that users give the set's own folder within their data folder.
        origin: Where a person gets the data, for the error message.
    """

    resized = LARGE_RESIZED
    folders: ClassVar[tuple[str, ...]]
    origin: ClassVar[str]

    def load(self, root: Path | None, *, download: bool = False) -> Parts:
        """Open the set's pack, if there is one, else read lists or folders; no image is opened.

        Args:
            root: The folder that holds the set's own folder or its pack, or one of these itself; None for ltbench's cache.

        Raises:
            MissingData: If the set is not there.
            UserError: If a list is damaged, naming its line, or cannot be read; or if the pack is.
        """
        with self._searching(root) as (candidates, where):
            pack = find_pack(self.name, where, candidates)
            if pack is None:
                return self.load_files(root)
            print(f"{self.name}: images are read from the pack {str(pack)!r}", file=sys.stderr)
            parts = read_pack(pack, self, self.resized)
            shifts = self.find_shifts(candidates, (parts["test"].paths, parts["test"].labels))
        return Parts(parts["train"], parts["test"], parts.get("val"), shifts=shifts)

    def load_files(self, root: Path | None) -> Parts:
        """Read lists or folders, whether there is a pack or not."""
        with self._searching(root) as (candidates, where):
            train, test = self.find(candidates, where)
            val, problem = None, None
            try:
                val = self.find_val(candidates)
            except UserError as error:  # which must not keep anybody from a run that never reads it
                problem = str(error)
            shifts = self.find_shifts(candidates, test)
        return Parts(self.part(train), self.part(test), None if val is None else self.part(val), shifts=shifts,
                     val_problem=problem)

    def part(self, listed: Listed) -> FileImages:
        """Return a part of the set."""
        return FileImages(*listed, size=self.image_size, resized=self.resized)

    @contextmanager
    def _searching(self, root: Path | None) -> Iterator[tuple[list[Path], Path]]:
        """Give the folders that are there and may hold the set, and what the user named; what the system refuses is one line."""
        where = _where(root)
        try:
            yield [folder for folder in self._candidates(where) if folder.is_dir()], where
        except OSError as error:  # such as a folder that may not be entered
            raise UserError(f"{str(error.filename or where)!r} cannot be read: {error.strerror}") from error

    @abstractmethod
    def find(self, candidates: list[Path], where: Path) -> tuple[Listed, Listed]:
        """Return the images of both parts.

        Args:
            candidates: Folders that are there and may hold the set, the most likely first.
        """

    def find_shifts(self, candidates: list[Path], test: Listed) -> dict[str, Ints]:
        """Return the published label-shifted test sets that are there, see :class:`ltbench.data.parts.Parts`: here none."""
        return {}

    def find_val(self, candidates: list[Path]) -> Listed | None:
        """Return the images of the validation part, where the set has one and it is there.

        Raises:
            UserError: If its list is damaged.
        """
        return None

    def missing(self, what: str, where: Path) -> MissingData:
        """Return the error for something that is nowhere."""
        return MissingData(f"{self.name} is not there: no {what} in {str(where)!r} or its folders {', '.join(self.folders)}; "
                           f"get it from {self.origin}, and say where it is with --data-root or LTBENCH_DATA")

    def _candidates(self, where: Path) -> Iterator[Path]:
        yield from (where / name for name in self.folders)
        yield where
        yield from (where / parent / name for parent in ("lt-lists", "data") for name in self.folders)


def _where(root: Path | None) -> Path:
    return cache_root() / "data" if root is None else root


class ListedDataset(FileDataset):
    """Read the lists that a paper published of its two parts.

    Attributes:
        train_lists: File names of the training list, in order of preference.
        val_lists: Those of a validation list beside the two, which no run needs.
        test_lists: Those of the list that is tested on.
        shift_lists: File name of a published label-shifted test list, with ``{shift}`` for its name; None where there are none.
    """

    train_lists: ClassVar[tuple[str, ...]]
    val_lists: ClassVar[tuple[str, ...]] = ()
    test_lists: ClassVar[tuple[str, ...]]
    shift_lists: ClassVar[str | None] = None

    def find(self, candidates: list[Path], where: Path) -> tuple[Listed, Listed]:
        """Read both lists; images lie in the first folder that holds one of them, or beside the list."""
        return self._listed(self.train_lists, candidates, where), self._listed(self.test_lists, candidates, where)

    def find_shifts(self, candidates: list[Path], test: Listed) -> dict[str, Ints]:
        """Read the lists that are there."""
        if self.shift_lists is None:
            return {}
        return read_shifts(self.shift_lists, self.shift_ratios, candidates, test, self.num_classes)

    def find_val(self, candidates: list[Path]) -> Listed | None:
        """Read the validation list."""
        file = _first(self.val_lists, candidates)
        return None if file is None else self._read(file, candidates)

    def read_part(self, names: tuple[str, ...], root: Path | None) -> tuple[Path, FileImages]:
        """Read one part alone, whatever else is there.

        Args:
            names: Of its list, for example ``train_lists``.

        Returns:
            The list's file, and the images.
        """
        with self._searching(root) as (candidates, where):
            file = self._file(names, candidates, where)
            return file, self.part(self._read(file, candidates))

    def _listed(self, names: tuple[str, ...], candidates: list[Path], where: Path) -> Listed:
        return self._read(self._file(names, candidates, where), candidates)

    def _file(self, names: tuple[str, ...], candidates: list[Path], where: Path) -> Path:
        file = _first(names, candidates)
        if file is None:
            raise self.missing(" or ".join(map(repr, names)), where)
        return file

    def _read(self, file: Path, candidates: list[Path]) -> Listed:
        paths, labels = read_list(file, self.num_classes)
        moved = [paths.move(folder) for folder in candidates]
        # One image alone may be what is missing.
        for index in (0, len(paths) // 2, len(paths) - 1):
            for there in moved:
                if Path(there[index]).is_file():
                    return there, labels
        return paths, labels


def _first(names: tuple[str, ...], candidates: list[Path]) -> Path | None:
    return next((folder / name for name in names for folder in candidates if (folder / name).is_file()), None)
