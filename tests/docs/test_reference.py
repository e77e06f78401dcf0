"""The reference, which is generated and kept in the repository."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

import ltbench
import ltbench.testing
from ltbench.method.contract import Method
from ltbench.registry import hookspecs
from tests.support.blocks import ROOT

pytest.importorskip("griffe", reason="the extra 'docs' is not installed")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """Load tools/reference.py, which is no package."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_what_the_docstrings_say(tool: ModuleType) -> None:
    assert (ROOT / "docs" / "reference.md").read_text(encoding="utf-8") == tool.page(), "run: python tools/reference.py"


def test_every_public_name_hook_and_slot_has_a_heading(tool: ModuleType) -> None:
    headings = {line.removeprefix("### ") for line in tool.page().splitlines() if line.startswith("### ")}
    hooks = {name for name in vars(hookspecs) if name.startswith("ltbench_")}
    slots = {name for name, value in vars(Method).items() if callable(value) and not name.startswith("_")}
    assert len(hooks) >= 8
    assert headings >= hooks | slots | (set(ltbench.__all__) - set(tool.ELSEWHERE))


def test_text_is_markdown(tool: ModuleType) -> None:
    assert tool.plain("See :class:`Output` and ``ctx``.") == "See `Output` and `ctx`."
    assert "::" not in tool.page() and ":class:" not in tool.page()


def test_no_line_of_a_paragraph_looks_like_an_item(tool: ModuleType) -> None:
    text = tool.filled("word " * 25 + "- 3 is less " + "word " * 30)
    assert not any(line.startswith("- ") for line in text.splitlines())
