"""Plugins that are not installed: a module, a file, or the folder of a distribution."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ltbench.errors import UserError, brief
from ltbench.method.from_file import add_file
from ltbench.registry.discovery import PluginInfo, Registry, installed_entry_points, load_registry
from ltbench.registry.hookspecs import GROUP
from ltbench.registry.specs import load_target
from ltbench.testing import probes


def with_plugins(plugins: Iterable[str]) -> Registry:
    """Return the installed plugins with others, and with the kit's own methods.

    Args:
        plugins: Modules, as an entry point would name them; paths of ``.py`` files; folders that hold a ``pyproject.toml``,
            which stand for the distribution of that name if it is installed too.
    """
    folders = {name: read_project(Path(name)) for name in plugins if is_folder(name)}
    own = {_plain(project["name"]) for project in folders.values()}
    registry = load_registry(strict=False, entry_points=lambda: [
        entry for entry in installed_entry_points() if entry.dist is None or _plain(entry.dist.name) not in own])
    registry.add(probes, PluginInfo("conformance", "ltbench", "0"))
    for name in plugins:
        if name in folders:
            _add_folder(registry, Path(name), folders[name])
        elif name.endswith(".py"):
            add_file(registry, Path(name))
        else:
            registry.add(_plugin(name), PluginInfo(name, name, "0"))
    return registry


def is_folder(name: str) -> bool:
    """Tell whether a text names the folder of a distribution."""
    return (Path(name) / "pyproject.toml").is_file()


def read_project(folder: Path) -> dict[str, Any]:
    """Return the ``project`` table of a distribution with plugins.

    Raises:
        UserError: If it names no plugin.
    """
    file = folder / "pyproject.toml"
    try:
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        entries = project["entry-points"][GROUP]
        assert isinstance(project["name"], str) and entries and isinstance(entries, dict)
    except (OSError, ValueError, KeyError, TypeError, AssertionError):
        raise UserError(f"{str(file)!r} must name a plugin under [project.entry-points.{GROUP}]") from None
    return dict(project)


def _add_folder(registry: Registry, folder: Path, project: dict[str, Any]) -> None:
    place = str(folder.absolute())
    if place not in sys.path:
        sys.path.insert(0, place)  # first: a copy of it that is installed must not be what is imported
        importlib.invalidate_caches()
    for name, target in project["entry-points"][GROUP].items():
        info = PluginInfo(name, project["name"], str(project.get("version", "0")))
        try:
            plugin = _plugin(target)
        except (Exception, SystemExit) as error:
            raise UserError(f"plugin {name!r} of {str(folder)!r} cannot be imported: {brief(error)}") from error
        registry.add(plugin, info)
        if info.error is not None:
            raise UserError(f"plugin {name!r} of {str(folder)!r}: {info.error}")


def _plugin(target: str) -> Any:
    module, _, attribute = target.partition(":")
    loaded = importlib.import_module(module)
    return load_target(target) if attribute else loaded


def _plain(name: str) -> str:
    """Return a distribution's name as an index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
