from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from ltbench.data.fetched import downloading
from ltbench.system.lease import Lease


def test_two_processes_do_not_download_into_one_folder_at_once(tmp_path: Path) -> None:
    other = Lease(tmp_path / ".leases", "download-svhn-lt", "the download of svhn-lt")
    assert other.attempt()
    started = time.monotonic()
    threading.Timer(0.2, other.release).start()
    with downloading("svhn-lt", tmp_path):
        assert time.monotonic() - started >= 0.2
        with downloading("cifar10-lt", tmp_path):  # another set
            pass
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_the_cache_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path))
    with downloading("svhn-lt", None):
        assert (tmp_path / "data" / ".leases" / "download-svhn-lt").is_dir()


def test_where_nothing_can_be_written_data_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with downloading("svhn-lt", tmp_path / "file"):
        pass
