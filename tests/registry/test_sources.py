from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import pytest

import ltbench
from ltbench.registry import sources
from ltbench.registry.sources import file_hash, source_hashes
from tests.support import toys


def test_a_class_in_one_file() -> None:
    assert source_hashes(toys.Margin) == {"tests/support/toys.py": file_hash(Path(toys.__file__))}


def test_what_a_method_imports_of_its_own_package_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "grown"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "shared.py").write_text("from . import deep\nSCALE = 2\n")
    (package / "deep.py").write_text("import torch\n")
    (package / "unused.py").write_text("")
    source = "import ltbench\nfrom grown.shared import SCALE\n\n\nclass Mine(ltbench.Method):\n    pass\n"
    (package / "method.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        mine = importlib.import_module("grown.method").Mine
        assert set(source_hashes(mine)) == {"grown/method.py", "grown/shared.py", "grown/deep.py", "grown/__init__.py"}
        assert not any(str(tmp_path) in name for name in source_hashes(mine))
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "grown"]:
            del sys.modules[name]


def test_public_names_have_homes() -> None:
    """What type checkers read, what is loaded on first use and what completion shows are one list."""
    tree = ast.parse(Path(ltbench.__file__).read_text(encoding="utf-8"))
    (typed,) = [node for node in tree.body if isinstance(node, ast.If)]
    homes = {alias.name: node.module for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert homes == ltbench._HOMES
    assert dir(ltbench) == sorted([*homes, "__version__"])
    for name, home in homes.items():
        assert home is not None and getattr(ltbench, name) is getattr(importlib.import_module(home), name)


@pytest.mark.parametrize(("changes", "commit", "dirty"), [("", "abc", False), (" M a.py", "abc", True), (None, None, None)])
def test_a_commit_is_said_with_what_was_changed_or_not_at_all(changes: str | None, commit: str | None, dirty: bool | None,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """Git may take too long to answer; then nobody knows whether a record's code is that of its commit."""
    answers = {"rev-parse": "abc", "ls-files": "__init__.py", "status": changes}
    monkeypatch.setattr(sources, "_git", lambda folder, command, *rest: answers[command])
    found = sources.core_version.__wrapped__()
    assert (found["commit"], found["dirty"]) == (commit, dirty)
