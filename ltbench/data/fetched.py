"""Small sets that torchvision knows where to download."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ltbench.errors import MissingData, UserError
from ltbench.system.holder import tidy
from ltbench.system.lease import Lease
from ltbench.system.settings import cache_root

_PARTS = ({"split": "train"}, {"split": "test"})


def torchvision_set(name: str) -> Any:
    """Return a class of ``torchvision.datasets``.

    Raises:
        UserError: If torchvision does not fit the torch that is installed.
    """
    try:
        import torchvision.datasets
    except (ImportError, RuntimeError, OSError, AttributeError) as error:  # a build for another torch fails in each of these ways
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"torchvision cannot be used here ({reason}); `ltbench doctor` says what does not fit") from error
    return getattr(torchvision.datasets, name)


def folder_of(root: Path | None, own: str) -> Path:
    """Return where a set's files lie: in a folder of its own within the root, or in the root itself.

    Args:
        root: As the user gave it; None for ltbench's cache.
    """
    where = cache_root() / "data" if root is None else root
    return where / own if (where / own).is_dir() or where.name != own else where


@contextmanager
def downloading(name: str, root: Path | None) -> Iterator[None]:
    """Keep other processes from fetching the same files into the same folder meanwhile; wait for one that does.

    Args:
        root: As the user gave it; None for ltbench's cache. Where nothing can be written, nothing will be fetched either.
    """
    leases = (cache_root() / "data" if root is None else root) / ".leases"
    lease = Lease(leases, f"download-{name}", f"the download of {name}")
    held = False
    with suppress(UserError):
        lease.wait()
        held = True
    try:
        yield
    finally:
        if held:
            lease.release()
            tidy(leases)


def download(name: str, reader: Any, folder: Path, parts: Sequence[Mapping[str, Any]] = _PARTS) -> None:
    """Fetch what torchvision's class wants.

    Args:
        parts: How the class is told which part to fetch, one after the other.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part in parts:
            reader(root=str(folder), download=True, **part)
    except (OSError, RuntimeError) as error:  # a network error is an OSError, a wrong md5 sum a RuntimeError
        raise UserError(f"{name} cannot be downloaded: {error}") from error


def require(name: str, path: Path, md5: str) -> Path:
    """Return a file that is there and is the official one: stored stages and splits are named by their set, not by its pixels.

    Raises:
        MissingData: If it is not there, saying how to get it.
        UserError: If it cannot be read, or is another file.
    """
    from torchvision.datasets.utils import check_md5

    if not path.is_file():
        raise MissingData(f"{name} is not there: no {path.name!r} in {str(path.parent)!r}; pass --download, or say where it is "
                          "with --data-root or LTBENCH_DATA")
    try:
        official = check_md5(str(path), md5)
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if not official:
        raise UserError(f"{name} has a damaged file: {str(path)!r} is not the official one (md5 differs); "
                        "delete it and pass --download")
    return path
