"""A distribution around a file with methods, which is taken as it is."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.cli.extend.scaffold.naming import HOOKS, Names
from ltbench.cli.extend.scaffold.write import COMMANDS, TABLES, render_files
from ltbench.errors import UserError

if TYPE_CHECKING:
    from ltbench.registry.specs import MethodSpec

OPTION = "--from"
_GIVEN = frozenset({"ltbench", "torch"})  # what every distribution asks for


def read_methods(file: Path) -> list[MethodSpec]:
    """Return what a file offers.

    Raises:
        UserError: If it is none with methods, or cannot become a module of a package.
    """
    from ltbench.method.from_file import methods_of

    if file.stem == HOOKS:
        raise UserError(f"{OPTION} must be a file of another name than the module with the hooks, got {file.name!r}")
    return methods_of(file, OPTION)


def render(file: Path, specs: list[MethodSpec], names: Names, base_method: str) -> dict[Path, str]:
    """Return the text of every file of the distribution, by its path within.

    Args:
        specs: Of :func:`read_methods`.
    """
    package, module = Path(names.package), file.stem
    one = specs[0]
    expression = one.name if 1 in one.stages else f"{base_method}/{one.name}"
    told = one.summary if len(specs) == 1 else ", ".join(spec.name for spec in specs)
    said = {"specs": specs, "module": module, "summary": told, "dependencies": sorted(_dependencies(file)),
            "command": COMMANDS["method"].format(expression, base_method), "table": TABLES["method"]}
    texts = render_files({
        Path("README.md"): "from_file/README.md",
        package / f"{HOOKS}.py": "from_file/plugin.py",
        Path("tests", f"test_{module}.py"): "from_file/test.py",
    }, names, said)
    return {**texts, package / "__init__.py": '"""A plugin for ltbench."""\n',
            package / f"{module}.py": file.read_text(encoding="utf-8")}


def _dependencies(file: Path) -> Iterator[str]:
    """Yield the distributions, other than those that all ask for, whose modules a file imports.

    Raises:
        UserError: If it imports what lies beside it, or what no distribution is known to hold.
    """
    holders = importlib.metadata.packages_distributions()
    for name in _imported(file):
        beside = file.parent / name
        if beside.with_suffix(".py").is_file() or (beside / "__init__.py").is_file():
            raise UserError(f"{OPTION} must be a file that imports nothing beside it, got {name!r} in {str(file)!r}")
        yield from holders.get(name, [])[:1]


def _imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names - _GIVEN - sys.stdlib_module_names
