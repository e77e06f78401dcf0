"""The worked notebook: its cells run in order from nothing, and show what they are said to show."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.blocks import ROOT
from tests.support.sessions import run_cell, session

NOTEBOOK = json.loads((ROOT / "examples" / "digits.ipynb").read_text(encoding="utf-8"))
CELLS = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def run(module: Any, text: str) -> Any:
    """Run a cell and return what its last line is, as a notebook shows it."""
    tree = ast.parse(text)
    last = tree.body[-1]
    if not isinstance(last, ast.Expr) or text.lstrip().startswith("import numpy"):
        run_cell(module, text)
        return None
    lines = text.splitlines()
    run_cell(module, "\n".join(lines[:last.lineno - 1]))
    return eval(compile("\n".join(lines[last.lineno - 1:]), "<last>", "eval"), vars(module))


def test_it_was_run_from_top_to_bottom_without_an_error() -> None:
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 4)
    assert [cell["execution_count"] for cell in CELLS] == list(range(1, len(CELLS) + 1))
    kinds = [[output["output_type"] for output in cell["outputs"]] for cell in CELLS]
    assert all(kinds) and not any("error" in found for found in kinds)


@pytest.mark.slow
def test_every_cell_shows_what_it_shows_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    with session() as module:
        for cell in CELLS:
            capsys.readouterr()
            shown = run(module, "".join(cell["source"]))
            told = capsys.readouterr().out
            (output,) = cell["outputs"]
            if output["output_type"] == "stream":
                assert len(told.splitlines()) == len(output["text"]) == 3
                for line in told.splitlines():  # adjusting helps the few, as the text says
                    before, after = (float(number) for number in re.findall(r"([\d.]+) %", line))
                    assert before + 10 < after
            elif "image/png" in output["data"]:
                assert shown._repr_png_().startswith(b"\x89PNG")
            elif "text/html" in output["data"]:
                assert "<table" in shown._repr_html_()
                assert [line for line in ("ce/crt", "difference") if line in "".join(output["data"]["text/html"])]
            else:
                assert len(shown) == 5
        assert repr(module.runs) == "Runs(9 completed)"
