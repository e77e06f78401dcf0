"""Sets of torchvision are fetched whole or not at all, by torchvision's own download from a server on this machine."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from torchvision.datasets.utils import calculate_md5, download_and_extract_archive

from ltbench.data.fetched import downloading
from ltbench.data.own_torchvision import open_torchvision
from ltbench.errors import UserError
from tests.support.source_factory import digits, write_eurosat

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture(scope="module")
def eurosat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eurosat(tmp_path_factory.mktemp("eurosat"), *digits(300))


@pytest.fixture
def fetched(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let EuroSAT come from a server here, through torchvision's own download, with its md5 sum; return what is asked for."""
    asked: list[str] = []

    class Server(SimpleHTTPRequestHandler):
        def log_message(self, form: str, *values: object) -> None:
            if self.command == "GET":
                asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(archive.parent)))
    Thread(target=server.serve_forever, daemon=True).start()
    md5 = calculate_md5(str(archive))

    def from_here(url: str, download_root: str, **official: str) -> None:
        download_and_extract_archive(f"http://127.0.0.1:{server.server_port}/there.zip", download_root=download_root,
                                     filename="EuroSAT.zip", md5=md5)

    monkeypatch.setattr("torchvision.datasets.eurosat.download_and_extract_archive", from_here)
    yield asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def archive(eurosat: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "there.zip", "w") as made:
        for file in sorted((eurosat / "eurosat").rglob("*.jpg")):
            made.write(file, file.relative_to(eurosat / "eurosat"))
    return tmp_path / "there.zip"


def test_download_fetches_checks_and_goes_on(eurosat: Path, archive: Path, fetched: list[str], tmp_path: Path) -> None:
    root = tmp_path / "data"
    same = open_torchvision("EuroSAT", root=eurosat).images
    partial = root / ".tv-EuroSAT.partial" / "eurosat"
    (partial / "2750" / "Class0").mkdir(parents=True)  # of an attempt that was killed while it unpacked
    (partial / "EuroSAT.zip").write_bytes(archive.read_bytes())
    assert open_torchvision("EuroSAT", root=root, download=True).images == same
    assert fetched == [] and sorted(os.listdir(root)) == ["eurosat"]
    assert open_torchvision("EuroSAT", root=root).images == same  # and is there from now on
    again = tmp_path / "again"
    (again / ".tv-EuroSAT.partial" / "eurosat").mkdir(parents=True)
    (again / ".tv-EuroSAT.partial" / "eurosat" / "EuroSAT.zip").write_bytes(archive.read_bytes()[:-9])  # cut
    assert open_torchvision("EuroSAT", root=again, download=True).images == same and "/there.zip" in fetched


def test_what_was_changed_on_its_way_is_not_taken(archive: Path, fetched: list[str], tmp_path: Path) -> None:
    archive.write_bytes(archive.read_bytes() + b"more")  # after its md5 sum was taken
    with pytest.raises(UserError, match=r"^tv:EuroSAT cannot be downloaded: File not found or corrupted\.$"):
        open_torchvision("EuroSAT", root=tmp_path / "data", download=True)
    assert not (tmp_path / "data" / "eurosat").exists()


@pytest.mark.usefixtures("fetched")
def test_what_is_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "eurosat").mkdir()
    (tmp_path / "eurosat" / "mine").touch()
    with pytest.raises(UserError, match="^'.*/eurosat' is there, and is not tv:EuroSAT as it was published: move it away$"):
        open_torchvision("EuroSAT", root=tmp_path, download=True)
    assert (tmp_path / "eurosat" / "mine").exists()


def test_a_set_that_another_process_fetched_is_not_fetched_again(eurosat: Path, tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """It appears while this process waits for its turn."""
    root = tmp_path / "data"

    def late(name: str, where: Path) -> Any:
        root.mkdir()
        (root / "eurosat").symlink_to(eurosat / "eurosat")
        return downloading(name, where)

    monkeypatch.setattr("ltbench.data.own_torchvision.downloading", late)
    assert open_torchvision("EuroSAT", root=root, download=True).images == open_torchvision("EuroSAT", root=eurosat).images
