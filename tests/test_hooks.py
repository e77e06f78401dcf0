"""Every hook is documented, used by a plugin that comes with ltbench, and tested."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from ltbench import hookspecs
from ltbench.registry import load_registry

HOOKS = [name for name in vars(hookspecs) if name.startswith("ltbench_")]
TESTS = Path(__file__).parent


def test_the_hooks_are_what_pluggy_knows() -> None:
    manager = load_registry(strict=False).manager
    assert sorted(HOOKS) == sorted(name for name in vars(manager.hook) if name.startswith("ltbench_"))


@pytest.mark.parametrize("name", HOOKS)
def test_it_is_documented(name: str) -> None:
    hook = getattr(hookspecs, name)
    text = inspect.getdoc(hook) or ""
    assert text.partition("\n")[0].endswith("."), "the first line is a sentence"
    arguments = inspect.signature(hook).parameters
    assert len(arguments) < 3 or all(f"{argument}:" in text for argument in arguments)


@pytest.mark.parametrize("name", HOOKS)
def test_a_plugin_that_comes_with_ltbench_uses_it(name: str) -> None:
    users = getattr(load_registry(strict=False).manager.hook, name).get_hookimpls()
    assert any(user.plugin_name.startswith("ltbench:") for user in users)  # distribution:plugin


@pytest.mark.parametrize("name", HOOKS)
def test_it_is_tested(name: str) -> None:
    assert any(name in path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py")), "no test names it"
