"""What the README shows must work as it stands there; ``tests/docs`` runs its commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ltbench.cli import main as program
from ltbench.registry.discovery import load_registry
from ltbench.results import records
from tests.support.blocks import blocks_of, without_numbers

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


def test_the_table_is_the_boards() -> None:
    """Every row holds the figures of the board's first table, in its order: the README opens on what most is known of."""
    text = (ROOT / "leaderboards/cifar100-lt/README.md").read_text(encoding="utf-8")
    board = text.split("\n## cifar100-lt")[1]
    ranked = (line for line in board.splitlines() if re.match(r"\| +\d+ \|", line))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in ranked]
    rows = {name: [*figures, seeds] for _, name, *figures, _, _, _, seeds, _ in cells}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = {name: figures.split(" | ") for name, figures in re.findall(r"^\| `([^`]+)` \| [^|]+ \| (\d.*±.*) \|$", readme, re.M)}
    assert len(shown) >= 5
    for name, figures in shown.items():
        assert [*figures, "3"] == rows[name], name
    assert list(shown) == [name for name in rows if name in shown]


def test_every_board_is_linked() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    boards = sorted(path.parent.name for path in (ROOT / "leaderboards").glob("*/board.toml"))
    assert len(boards) >= 6
    listed = readme.partition("<!-- boards -->")[2].partition("<!-- /boards -->")[0]
    assert sorted(re.findall(r"\(leaderboards/([^/]+)/README.md\)", listed)) == boards


@pytest.mark.slow
def test_the_command_says_what_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = (block for block in blocks_of("README.md") if block.language == "console")
    command = block.commands[-1]
    shown = block.text.split(f"$ {command}\n")[1]
    last_run, tables = shown.removeprefix("...\n").split("\n", 1)
    tables, end, folder = tables.rpartition("the records are in ")
    assert program.main([*shlex.split(command)[1:], "--out", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]) == 0
    said = capsys.readouterr()
    assert without_numbers(said.err.splitlines()[-2]) == without_numbers(last_run)
    assert said.err.splitlines()[-1].removesuffix(f"{tmp_path}/runs") + "runs\n" == end + folder
    assert without_numbers(said.out) == without_numbers(tables)
    for theirs, ours in zip(tables.splitlines()[4:], said.out.splitlines()[4:], strict=True):
        accuracies = [[float(figure) for figure in re.findall(r"([\d.]+) (?:±|\()", line)][:4] for line in (theirs, ours)]
        assert accuracies[1] == pytest.approx(accuracies[0], abs=5)  # other processors round otherwise, and training amplifies it


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
