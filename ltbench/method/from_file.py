"""A plugin that is one file outside any package: ``--plugin ./my_method.py``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import keyword
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from ltbench.errors import UserError, brief
from ltbench.method.from_session import Offering, spec_of
from ltbench.registry.discovery import PluginInfo, Registry, load_registry
from ltbench.registry.hookspecs import GROUP
from ltbench.registry.specs import MethodSpec

_OPTION = "--plugin"
PREFIX = "file:"  # of what stands for the distribution, in a listing and in a record
_DIGITS = 12  # of the sha256, in the place of a version


def open_registry(no_plugins: Sequence[str] = (), files: Sequence[Path] = ()) -> Registry:
    """Find every installed plugin, and take in some files.

    Args:
        no_plugins: Plugins or distributions to leave out.
        files: See :func:`add_file`.

    Raises:
        UserError: For a plugin that nobody has or a file that offers nothing; in strict mode, if any plugin has a problem.
    """
    registry = load_registry(no_plugins)
    for file in files:
        add_file(registry, file)
    return registry


def add_file(registry: Registry, path: Path) -> None:
    """Import a file and take in what it offers: its hooks, or without any its methods.

    The module is called as the file is and its folder is searched last, so that worker processes find it, and so that what is
    stored and recorded names the file and its hash, and no folder.

    Raises:
        UserError: If it is no such file, cannot be imported, offers nothing, or offers a name that another plugin has.
    """
    if path.absolute() in registry.files:
        raise UserError(f"{_OPTION} {path} stands twice")
    module = _import(path, _OPTION)
    distribution = f"{PREFIX}{path.name}"
    version = hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS]
    plugin: object = module if _has_hooks(module) else Offering(_specs(module, path, _OPTION))
    info = PluginInfo(path.stem, distribution, version)
    registry.add(plugin, info)
    if info.error is not None:
        raise UserError(f"{_OPTION} {path}: {info.error}")
    registry.files.append(path.absolute())


def methods_of(path: Path, option: str) -> list[MethodSpec]:
    """Import a file and describe the methods that it defines, for a package to be made of it.

    Args:
        option: Where it was named, for messages.

    Raises:
        UserError: If it is no such file, cannot be imported, has hooks, or defines no method.
    """
    module = _import(path, option)
    if _has_hooks(module):
        raise UserError(f"{option} must be a file with methods and without hooks, got {str(path)!r}: its targets name the file, "
                        "and a package has another name")
    return _specs(module, path, option)


def _import(path: Path, option: str) -> ModuleType:
    if path.suffix != ".py" or not path.is_file():
        raise UserError(f"{option} must be a Python file that exists, got {str(path)!r}")
    name = path.stem
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UserError(f"{option} must be a file whose name Python can import, got {path.name!r}")
    if (path.parent / "__init__.py").exists():
        raise UserError(f"{option} must be a file outside any package, got {str(path)!r}: install its package")
    folder = str(path.absolute().parent)
    if folder not in sys.path:
        sys.path.append(folder)
        importlib.invalidate_caches()
    try:
        found = importlib.util.find_spec(name)
    except ValueError:  # a module that was made by hand
        found = None
    if found is None or found.origin is None or not Path(found.origin).exists() or not path.samefile(found.origin):
        raise UserError(f"{option} must be a file whose name no other module has, got {path.name!r}")
    try:
        return importlib.import_module(name)
    except SyntaxError as error:
        raise UserError(f"{option} {path}: line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:  # whatever a stranger's file does at import
        raise UserError(f"{option} {path}: {brief(error)}") from error


def _has_hooks(module: ModuleType) -> bool:
    return any(hasattr(value, f"{GROUP}_impl") for value in vars(module).values() if callable(value))


def _specs(module: ModuleType, path: Path, option: str) -> list[MethodSpec]:
    """Describe the methods that a module defines: classes with a name and stages of their own."""
    from ltbench.method.contract import Method

    own = [value for value in vars(module).values()
           if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__]
    kinds = [kind for kind in own if hasattr(kind, "name") and hasattr(kind, "stages")]
    if not kinds:
        lacking = {kind.__name__: " and ".join(word for word in ("name", "stages") if not hasattr(kind, word)) for kind in own}
        got = ", ".join(f"{name} without {words}" for name, words in lacking.items()) or "neither"
        raise UserError(f"{option} {path}: must hold a class derived from ltbench.Method with a name and stages, or a hook; "
                        f"got {got}")
    try:
        return [spec_of(kind) for kind in kinds]
    except (ValueError, TypeError) as error:
        raise UserError(f"{option} {path}: {error}") from error
