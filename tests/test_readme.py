"""What the README shows must work as it stands there."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ltbench import records
from ltbench.cli import main as program
from ltbench.registry import PluginInfo, Registry, load_registry

README = Path(__file__).parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Install the README's method as the README says: two files of a package."""
    method, plugin = blocks("python")
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "my_la.py").write_text(method)
    (package / "plugin.py").write_text(plugin)
    monkeypatch.syspath_prepend(tmp_path)
    loaded = load_registry(strict=False)
    loaded.add(importlib.import_module("my_package.plugin"), PluginInfo("my_plugin", "my-package", "1"))
    assert loaded.problems == []
    yield loaded
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        del sys.modules[name]


def test_the_methods_code_is_logit_adjustment(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "load_registry", lambda disabled: registry)
    assert program.main(["run", "--cpu", "--protocol", "smoke", "--seeds", "0", "--methods", "la,my_la,my_la+mixup/crt,ldam+drw",
                         "--out", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]) == 0
    stored, problems = records.read_directory(tmp_path / "runs")
    runs = {item.record["expression"]: item.record for item in stored}
    assert problems == [] and len(runs) == 4
    assert runs["my_la"]["metrics"] == runs["la"]["metrics"]


def test_commands_and_options_exist() -> None:
    parser = program.build_parser(load_registry(strict=False))
    for line in "\n".join(blocks("sh")).splitlines():
        if line.startswith("ltbench "):
            parser.parse_args(line.split()[1:])
    text = README.read_text(encoding="utf-8")
    verbs = next(action for action in parser._actions if isinstance(action.choices, dict)).choices
    assert isinstance(verbs, dict)
    known = {option for verb in verbs.values() for option in re.findall(r"--[a-z][a-z-]+", verb.format_help())}
    assert set(re.findall(r"`(--[a-z-]+)", text)) <= known


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).exists(), target


def test_make_targets_exist() -> None:
    makefile = (README.parent / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", "\n".join(blocks("sh")), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
