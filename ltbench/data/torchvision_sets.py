"""torchvision's classification sets: how each names its parts, and how it is read or fetched."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ltbench.data.fetched import torchvision_set
from ltbench.data.member import literal, require_known
from ltbench.errors import MissingData, UserError, unknown
from ltbench.system.atomic import remove

Part = Mapping[str, Any]
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2")
# What a user does not set.
_TAKEN = {"self", "args", "kwargs", "root", "transform", "target_transform", "transforms", "download", "loader", "train", "split",
          "extensions", "is_valid_file", "allow_empty"}


@dataclass(frozen=True)
class TorchvisionSet:
    """Say how a class of torchvision is asked for its parts.

    Args:
        train: Arguments of the part that is trained on.
        test: Of the one that is tested on; None where the authors have none that fits, so that a fifth is set apart.
        val: Of one beside them.
        mirrored: Whether a picture in memory may be mirrored: a mirrored 2 is not a 2.
        defaults: Other arguments that the class wants, which options change.
    """

    train: Part
    test: Part | None = None
    val: Part | None = None
    mirrored: bool = True
    defaults: Part = field(default_factory=dict)


def _by_split(train: str = "train", test: str | None = "test", val: str | None = None, **more: Any) -> TorchvisionSet:
    return TorchvisionSet({"split": train}, test and {"split": test}, val and {"split": val}, **more)  # type: ignore[arg-type]


def _in_halves(**more: Any) -> TorchvisionSet:
    return TorchvisionSet({"train": True}, {"train": False}, **more)


_WHOLE = TorchvisionSet({})

# Sets whose images have one class each, of which the parts share their classes.
SETS = {
    "CIFAR10": _in_halves(), "CIFAR100": _in_halves(), "FashionMNIST": _in_halves(),
    "MNIST": _in_halves(mirrored=False), "KMNIST": _in_halves(mirrored=False), "QMNIST": _in_halves(mirrored=False),
    "EMNIST": _in_halves(mirrored=False, defaults={"split": "balanced"}), "USPS": _in_halves(mirrored=False),
    "SEMEION": TorchvisionSet({}, mirrored=False), "SVHN": _by_split(mirrored=False), "STL10": _by_split(),
    "FER2013": _by_split(), "PCAM": _by_split(val="val"),
    "Caltech101": _WHOLE, "Caltech256": _WHOLE, "EuroSAT": _WHOLE, "SUN397": _WHOLE,
    "Omniglot": TorchvisionSet({"background": True}),
    "CLEVRClassification": _by_split(test="val"), "Country211": _by_split(val="valid"), "DTD": _by_split(val="val"),
    "FGVCAircraft": _by_split(val="val"), "Flowers102": _by_split(val="val"), "Food101": _by_split(), "GTSRB": _by_split(),
    "ImageNet": _by_split(test="val"), "Imagenette": _by_split(test="val"), "OxfordIIITPet": _by_split("trainval"),
    "Places365": _by_split("train-standard", "val"), "RenderedSST2": _by_split(val="val"), "StanfordCars": _by_split(),
    "INaturalist": TorchvisionSet({"version": "2021_train"}, {"version": "2021_valid"}),
}


class Reader:
    """Make the parts of a set.

    Args:
        name: Of a class of ``torchvision.datasets`` that stands in :data:`SETS`.
        options: Of its constructor, as text.

    Raises:
        UserError: If there is no such set, or it takes no such option.
    """

    def __init__(self, name: str, options: Mapping[str, str]) -> None:
        if name not in SETS:
            raise unknown("classification set of torchvision", name, SETS)
        self.name, self.set = name, SETS[name]
        self._make = torchvision_set(name)
        self._takes = [known for kind in self._make.__mro__ if "__init__" in vars(kind)
                       for known in inspect.signature(kind.__init__).parameters]
        taken = (_TAKEN | self.set.train.keys()) - self.set.defaults.keys()
        require_known(options, {*self._takes, *self.set.defaults} - taken, f"tv:{name}")
        self.in_files = "loader" in self._takes  # a set that takes one gives it the path of each image's file
        self.options = {**self.set.defaults, **{key: literal(text) for key, text in options.items()}}

    def read(self, root: Path, *, download: bool = False) -> dict[str, Any]:
        """Return torchvision's objects by part: ``train``, ``test`` and ``val``, where there are such.

        Args:
            root: The folder that holds the set's own.

        Raises:
            MissingData: If it is not there.
            UserError: If it cannot be read or downloaded.
        """
        wanted = {"train": self.set.train, "test": self.set.test, "val": self.set.val}
        return {part: self._read(root, which, download=download) for part, which in wanted.items() if which is not None}

    def _read(self, root: Path, which: Part, *, download: bool) -> Any:
        more: dict[str, Any] = {"loader": os.fspath} if self.in_files else {}
        if "download" in self._takes:
            more["download"] = download
        elif download:
            raise UserError(f"tv:{self.name} is not downloaded by torchvision: its documentation says where it is to be had")
        try:
            return self._make(root=str(root), **{**self.options, **which, **more})
        except (TypeError, ValueError) as error:  # such as an option's value, or a set that is no longer to be had
            raise UserError(f"tv:{self.name} cannot be read: {_reason(error)}") from error
        except (OSError, RuntimeError) as error:
            if download:
                raise UserError(f"tv:{self.name} cannot be downloaded: {_reason(error)}") from error
            how = "add --download" if "download" in self._takes else "get it by hand"
            raise MissingData(f"tv:{self.name} is not in {str(root)!r}, or not whole: {how}, or say where it is with --data-root "
                              "or LTBENCH_DATA") from error

    def fetch(self, root: Path) -> None:
        """Download the set into a folder beside the others, and move it there once it is whole.

        What a broken attempt left is looked at again: archives that are whole stay, as torchvision knows them by their md5 sums,
        and what was unpacked of them is unpacked anew, as nobody knows how much of it there is.
        """
        with _staging(root, self.name) as folder:
            self.read(folder, download=True)
            for entry in sorted(folder.iterdir()):
                target = root / entry.name
                if target.is_dir() and not any(target.iterdir()):  # some classes make one before they look
                    target.rmdir()
                if target.is_dir() or (entry.is_dir() and os.path.lexists(target)):
                    raise UserError(f"{str(target)!r} is there, and is not tv:{self.name} as it was published: move it away")
                os.replace(entry, target)


@contextmanager
def _staging(root: Path, name: str) -> Iterator[Path]:
    folder = root / f".tv-{name}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _keep_archives(folder)
        yield folder
        remove(folder)
    except OSError as error:
        raise UserError(f"tv:{name} cannot be downloaded: {error.strerror or _reason(error)}") from error


def _keep_archives(folder: Path) -> None:
    """Remove all but archives, which torchvision looks at anew."""
    for inner, folders, files in os.walk(folder, topdown=False):
        for name in files:
            if not name.endswith(_ARCHIVES):
                os.unlink(os.path.join(inner, name))
        for name in folders:
            with suppress(OSError):  # of one that still holds some
                os.rmdir(os.path.join(inner, name))


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
