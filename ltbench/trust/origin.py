"""Where published records come from: the installed package, a folder, a web address, or a repository on the Hugging Face hub."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltbench import version
from ltbench.errors import UserError, brief
from ltbench.results.records import read_directory
from ltbench.results.text import printable
from ltbench.trust.manifest import NAME, STAGES, ListedFile, Manifest, describe, read_manifest

_HUB = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?/?")
_MOST_OF_A_MANIFEST = 64 * 2**20
_PATIENCE = 60.0  # seconds without a byte


@dataclass(frozen=True)
class Origin:
    """Hold a source of records.

    Args:
        where: What it is called in messages.
        manifest: What it holds.
        fetch: Returns a file's content, given its path and the most bytes that are wanted of it.
    """

    where: str
    manifest: Manifest
    fetch: Callable[[str, int], bytes]

    def read(self, file: ListedFile) -> bytes:
        """Return a file as the manifest describes it.

        Raises:
            UserError: If it cannot be had, or is another one.
        """
        content = self.fetch(file.path, file.bytes + 1)
        if len(content) != file.bytes or hashlib.sha256(content).hexdigest() != file.sha256:
            raise UserError(f"{file.path} of {self.where} is not the one that {NAME} names (sha256 differs)")
        return content


def open_origin(source: str | None, sha256: str | None = None) -> Origin:
    """Open a source by what was typed.

    Args:
        source: A folder, ``http(s)://...`` or ``hf://owner/repo[@revision]``; None for what the installed package holds.
        sha256: Of the manifest; None where the source is trusted to name its own files.

    Raises:
        UserError: If it cannot be reached, holds no records, or its manifest is another one.
    """
    if source is None:
        return _folder(_installed(), "this installation of ltbench", sha256)
    if match := _HUB.fullmatch(source):
        fetch = _hub(match["repo"], match["revision"])
    elif re.match(r"https?://", source):
        fetch = _web(source.rstrip("/").removesuffix(f"/{NAME}"))
    elif re.match(r"\w+://", source):
        raise UserError(f"--from must be a folder, http(s)://ADDRESS or hf://OWNER/REPO, got {source!r}")
    else:
        return _folder(Path(source), source, sha256)
    content = fetch(NAME, _MOST_OF_A_MANIFEST)
    _require_hash(content, sha256, source)
    return Origin(source, read_manifest(content, source), fetch)


def published_stages() -> set[str]:
    """Return the keys of first stages that boards of this installation hold."""
    try:
        return {folder.name for folder in _installed().glob(f"*/{STAGES}/*/")}
    except UserError:
        return set()


def _require_hash(content: bytes, sha256: str | None, where: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise UserError(f"{NAME} of {where} must have the sha256 {sha256}, got {found}")


def _installed() -> Path:
    """Return the boards of the package; those of the checkout where ltbench is installed from one as it stands."""
    package = Path(version.__file__).parent
    for folder in (package / "boards", package.parent / "leaderboards"):
        if folder.is_dir():
            return folder
    raise UserError("this installation of ltbench holds no records: name a source with --from")


def _folder(folder: Path, where: str, sha256: str | None) -> Origin:
    def fetch(path: str, limit: int) -> bytes:
        try:
            with (folder / path).open("rb") as file:
                return file.read(limit)
        except OSError as error:
            raise UserError(f"{path} of {where} cannot be read: {error.strerror}") from None

    if sha256 is not None or (folder / NAME).is_file():
        content = fetch(NAME, _MOST_OF_A_MANIFEST)
        _require_hash(content, sha256, where)
        return Origin(where, read_manifest(content, where), fetch)
    stored, problems = read_directory(folder)
    if problems:
        raise UserError(problems[0])
    return Origin(where, describe(stored, folder), fetch)


def _web(base: str) -> Callable[[str, int], bytes]:
    from urllib.error import HTTPError, URLError
    from urllib.parse import quote
    from urllib.request import Request, urlopen

    def fetch(path: str, limit: int) -> bytes:
        request = Request(f"{base}/{quote(path)}", headers={"User-Agent": f"ltbench/{version.__version__}"})
        try:
            with urlopen(request, timeout=_PATIENCE) as answer:
                content: bytes = answer.read(limit)
                return content
        except HTTPError as error:
            raise UserError(f"{path} of {base} cannot be fetched: {error.code} {error.reason}") from None
        except (URLError, OSError, ValueError) as error:
            raise UserError(printable(f"{path} of {base} cannot be fetched: {getattr(error, 'reason', error)}")) from None

    return fetch


def _hub(repository: str, revision: str | None) -> Callable[[str, int], bytes]:
    def fetch(path: str, limit: int) -> bytes:
        try:
            from huggingface_hub import hf_hub_download

            file: Any = hf_hub_download(repository, path, repo_type="dataset", revision=revision)
            with Path(file).open("rb") as opened:
                return opened.read(limit)
        except Exception as error:  # the hub's library has an error of its own for each way in which this fails
            raise UserError(printable(f"{path} of hf://{repository} cannot be fetched: {brief(error)}")) from None

    return fetch
