"""What the README shows must work as it stands there; ``tests/docs`` runs its commands."""

from __future__ import annotations

import re
from pathlib import Path

from ltbench.cli import main as program
from ltbench.registry.discovery import load_registry
from ltbench.results import records
from tests.support.blocks import blocks_of

ROOT = Path(__file__).resolve().parents[2]


def test_the_methods_code_is_logit_adjustment(tmp_path: Path) -> None:
    (method,) = (block for block in blocks_of("README.md") if block.title)
    file = tmp_path / "readme_la.py"
    file.write_text(method.text)
    assert program.main(["run", "--cpu", "--protocol", "smoke", "--seeds", "0", "--methods", "la,my_la,my_la+mixup/crt,ldam+drw",
                         "--plugin", str(file), "--out", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]) == 0
    stored, problems = records.read_directory(tmp_path / "runs")
    runs = {item.record.expression: item.record for item in stored}
    assert problems == [] and len(runs) == 4
    assert runs["my_la"].metrics == runs["la"].metrics


def test_options_exist() -> None:
    parser = program.build_parser(load_registry(strict=False))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    verbs = next(action for action in parser._actions if isinstance(action.choices, dict)).choices
    assert isinstance(verbs, dict)
    known = {option for verb in (parser, *verbs.values()) for option in re.findall(r"--[a-z][a-z-]+", verb.format_help())}
    assert set(re.findall(r"`(--[a-z-]+)", text)) <= known


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    commands = [command for block in blocks_of("README.md") if block.language == "sh" for command in block.commands]
    for target in re.findall(r"^make (\w+)", "\n".join(commands), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
