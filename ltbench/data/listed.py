"""Datasets of image files: where their lists and folders lie, and what of them is needed before a training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from ltbench.data.arrays import Ints
from ltbench.data.base import Dataset, Parts
from ltbench.data.files import FileImages
from ltbench.data.lists import Listed, read_list
from ltbench.data.shift_lists import read_shifts
from ltbench.errors import MissingData, UserError
from ltbench.settings import cache_root

# Of ImageNet: images of every size, seen at 224 pixels after their shorter side was scaled to 256.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LARGE, LARGE_RESIZED = 224, 256
WINDOWS = ("random_resized_crop", "flip")


class FileDataset(Dataset):
    """Read which images there are, and leave them in their files.

    Attributes:
        resized: What the shorter side of an image is scaled to where no window of it is taken.
        folders: Names that users give the set's own folder within their data folder.
        origin: Where a person gets the data, for the error message.
    """

    resized: ClassVar[int] = LARGE_RESIZED
    folders: ClassVar[tuple[str, ...]]
    origin: ClassVar[str]

    def load(self, root: Path | None, *, download: bool = False) -> Parts:
        """Read lists or folders; no image is opened.

        Args:
            root: The folder that holds the set's own folder, or that folder itself; None for ltbench's cache.
            download: Ignored: no such set may be fetched without accepting its terms.

        Raises:
            MissingData: If the set is not there.
            UserError: If a list is damaged, naming its line, or cannot be read.
        """
        where = cache_root() / "data" if root is None else root
        try:
            folders = [folder for folder in self._candidates(where) if folder.is_dir()]
            train, test = self.find(folders, where)
            shifts = self.find_shifts(folders, test)
        except OSError as error:  # such as a folder that may not be entered
            raise UserError(f"{str(error.filename or where)!r} cannot be read: {error.strerror}") from error
        parts = (FileImages(*listed, size=self.image_size, resized=self.resized) for listed in (train, test))
        return Parts(*parts, shifts=shifts)

    @abstractmethod
    def find(self, candidates: list[Path], where: Path) -> tuple[Listed, Listed]:
        """Return the images of both parts.

        Args:
            candidates: Folders that are there and may hold the set, the most likely first.
            where: That the user named.

        Raises:
            UserError: See :meth:`load`.
        """

    def find_shifts(self, candidates: list[Path], test: Listed) -> dict[str, Ints]:
        """Return the published label-shifted test sets that are there, see :class:`ltbench.data.base.Parts`: here none.

        Args:
            candidates: See :meth:`find`.
            test: Images of the test part.

        Raises:
            UserError: See :meth:`load`.
        """
        return {}

    def missing(self, what: str, where: Path) -> MissingData:
        """Return the error for something that is nowhere.

        Args:
            what: Was looked for.
            where: The user's data folder.
        """
        return MissingData(f"{self.name} is not there: no {what} in {str(where)!r} or its folders {', '.join(self.folders)}; "
                           f"get it from {self.origin}, and say where it is with --data-root or LTBENCH_DATA")

    def _candidates(self, where: Path) -> Iterator[Path]:
        yield from (where / name for name in self.folders)
        yield where
        yield from (where / parent / name for parent in ("lt-lists", "data") for name in self.folders)


class ListedDataset(FileDataset):
    """Read the lists that a paper published of its two parts.

    Attributes:
        train_lists: File names of the training list, in order of preference.
        test_lists: Likewise of the list that is tested on.
        shift_lists: File name of a published label-shifted test list, with ``{shift}`` for its name; None where there are none.
    """

    train_lists: ClassVar[tuple[str, ...]]
    test_lists: ClassVar[tuple[str, ...]]
    shift_lists: ClassVar[str | None] = None

    def find(self, candidates: list[Path], where: Path) -> tuple[Listed, Listed]:
        """Read both lists; images lie in the first folder that holds the first one, or beside the list."""
        return self._listed(self.train_lists, candidates, where), self._listed(self.test_lists, candidates, where)

    def find_shifts(self, candidates: list[Path], test: Listed) -> dict[str, Ints]:
        """Read the lists that are there."""
        if self.shift_lists is None:
            return {}
        return read_shifts(self.shift_lists, self.shift_ratios, candidates, test, self.num_classes)

    def _listed(self, names: tuple[str, ...], candidates: list[Path], where: Path) -> Listed:
        file = next((folder / name for name in names for folder in candidates if (folder / name).is_file()), None)
        if file is None:
            raise self.missing(" or ".join(map(repr, names)), where)
        paths, labels = read_list(file, self.num_classes)
        for folder in candidates:
            moved = paths.move(folder)
            if Path(moved[0]).is_file():
                return moved, labels
        return paths, labels
