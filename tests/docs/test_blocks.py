"""Every command and every piece of code in the documentation works as it stands there."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ltbench.cli import main as program
from ltbench.registry.discovery import load_registry
from tests.support.blocks import ROOT, Block, blocks_of, pages
from tests.support.own_images import write_digits

SHELL = ("sh", "console")


def words(command: str) -> list[str]:
    return shlex.split(command)


@pytest.fixture(scope="module")
def parser() -> argparse.ArgumentParser:
    return program.build_parser(load_registry(strict=False))


@pytest.mark.parametrize("page", pages())
def test_commands_are_ones_that_ltbench_takes(page: str, parser: argparse.ArgumentParser) -> None:
    for block in blocks_of(page):
        for command in block.commands if block.language in SHELL else []:
            if words(command)[0] == "ltbench":
                early, rest = program.common_options().parse_known_args(words(command)[1:])
                parser.parse_args(rest)


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page: str) -> None:
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not re.match(r"[a-z]+:", target):
            assert ((ROOT / page).parent / target).exists(), target


@pytest.fixture
def folder(page: str, tmp_path: Path, digits_batch: tuple[object, object], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in a folder that holds what the page speaks of: boards, photos, and nothing that was run before."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if "leaderboards/" in text:
        shutil.copytree(ROOT / "leaderboards", tmp_path / "leaderboards")
    if "photos/pets" in text:
        pets = write_digits(tmp_path / "photos" / "pets", digits_batch, per_class=60)
        files = sorted(path.relative_to(pets.parent) for path in pets.glob("*/*.png"))
        for part, kept in (("train", files[::2]), ("test", files[1::2])):
            (pets.parent / f"mine_{part}.txt").write_text("".join(f"{file} {file.parent.name}\n" for file in kept))
        (pets.parent / "mine.csv").write_text("path,label\n" + "".join(f"{file},{file.parent.name}\n" for file in files))
    if "tar:shards" in text:
        shards = tmp_path / "shards"
        shards.mkdir()
        for number, name in enumerate(("test-000", *(f"train-{number:03}" for number in range(4)))):
            with tarfile.open(shards / f"{name}.tar", "w") as tar:
                for path in sorted(pets.glob("*/*.png"))[number::5]:
                    tar.add(path, path.relative_to(pets))
    if "my_la.py" in text:
        (method,) = (block for block in blocks_of("docs/writing-a-method.md") if block.title == "my_la.py")
        (tmp_path / "my_la.py").write_text(method.text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    modules = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - modules:  # a page's files must not be another's
        if (file := getattr(sys.modules[name], "__file__", None)) and Path(file).is_relative_to(tmp_path):
            del sys.modules[name]


def run(block: Block, command: str, environment: pytest.MonkeyPatch) -> None:
    """Run one command of a block as the block's mark says."""
    name, *arguments = words(command)
    if block.mark == "planned":
        if [name, arguments[0]] != ["ltbench", "run"]:
            return
        arguments.append("--dry-run")
        if "--download" not in arguments:
            environment.delenv("LTBENCH_DATA", raising=False)  # published class counts will do
    assert name == "ltbench", f"{block}: {command} needs a mark that says why it is not run"
    if "runs/NAME.json" in arguments:
        arguments[arguments.index("runs/NAME.json")] = str(min(Path("runs").glob("*.json")))
    try:
        code = program.main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == (2 if block.mark == "fails" else 0), f"{block}: {command}"


def execute(block: Block, names: dict[str, Any], folder: Path) -> None:
    """Run Python as a module of its own, in a file: what is defined in it has a source."""
    module = ModuleType(f"block_{block.line}")
    module.__file__ = str(folder / f"{module.__name__}.py")
    Path(module.__file__).write_text("\n" * block.line + block.text, encoding="utf-8")
    sys.modules[module.__name__] = module
    vars(module).update(names)
    exec(compile(Path(module.__file__).read_text(encoding="utf-8"), module.__file__, "exec"), vars(module))
    names.update({name: value for name, value in vars(module).items() if not name.startswith("__")})


@pytest.mark.slow
@pytest.mark.parametrize("page", pages())
def test_blocks(page: str, folder: Path) -> None:
    """Run the blocks of a page one after the other, in one folder."""
    names: dict[str, Any] = {}
    for block in blocks_of(page):
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        if block.mark == "not run":
            continue
        if block.language in SHELL:
            for command in block.commands:
                with pytest.MonkeyPatch.context() as environment:
                    run(block, command, environment)
        elif block.language == "python":
            execute(block, names, folder)
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "json":
            json.loads(block.text)
