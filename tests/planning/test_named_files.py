"""Files that options name are opened when a run is planned, and not when a record of one is read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from ltbench.data.digits import DigitsLT
from ltbench.errors import UserError
from ltbench.planning.plan import plan_run
from ltbench.terms.task import Task
from ltbench.testing import scene

OTHER = "0123456789abcdef"


def plan(text: str, *, open_files: bool = True) -> None:
    protocol = scene.PROTOCOL.replace(backbone=scene.TRANSFORMER) if "lift" in text else scene.PROTOCOL
    plan_run(text, Task("digits-lt", 20.0), protocol, scene.installed(), DigitsLT(), open_files=open_files)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", ["hyperspherical(recipe=file,prototypes_file={},prototypes_sha256={})",
                                  "word2vec(vectors_file={},vectors_sha256={})",
                                  "ce+word2vec(vectors_file={},vectors_sha256={})/crt",
                                  "lift(text_file={},text_sha256={})"])
def test_a_file_that_is_not_there_or_another_one_is_refused(text: str, place: Path) -> None:
    with pytest.raises(UserError, match="_file must be a file that can be read, got nowhere: No such file or directory"):
        plan(text.format("nowhere", OTHER))
    (place / "there").write_bytes(b"something else")
    with pytest.raises(UserError, match=r"_sha256 must be [0-9a-f]{16} \(or more of it\) for there, got 0123456789abcdef"):
        plan(text.format("there", OTHER))
    plan(text.format("nowhere", OTHER), open_files=False)


def test_what_needs_a_file_and_has_none_is_refused() -> None:
    for text in ("word2vec", "ce+word2vec", "mixup+word2vec/crt"):
        with pytest.raises(UserError, match="vectors_file must name a text file of word vectors, got none"):
            plan(text)
    for text in ("lift", "hyperspherical"):
        plan(text)


def test_what_a_file_lacks_is_told_and_what_planning_read_a_run_can_use(place: Path) -> None:
    numbers = torch.randn(10, 6, generator=torch.Generator().manual_seed(0)).tolist()
    lines = [f"{name} {' '.join(map(str, row))}\n" for name, row in zip(DigitsLT.class_names, numbers, strict=True)]
    for name, content in (("all.txt", "".join(lines)), ("some.txt", "".join(lines[1:]))):
        (place / name).write_text(content)
    def text(name: str) -> str:
        return f"word2vec(vectors_file={name},vectors_sha256={hashlib.sha256((place / name).read_bytes()).hexdigest()[:16]})"

    class Numbered(DigitsLT):
        class_names = tuple(f"class {k}" for k in range(10))  # the folders of the images may have names

    plan_run(text("all.txt"), Task("digits-lt", 20.0), scene.PROTOCOL, scene.installed(), Numbered())
    with pytest.raises(UserError, match="vectors_file must have a vector for every class, some.txt has none for"):
        plan(text("some.txt"))
    with scene.scratch() as folder:
        trained = scene.Scene(scene.installed()).train(text("all.txt"), folder)
    assert trained.engine.head.classifier.prototypes.shape == (10, 6)
