"""Names of a new plugin: what may be one, and what follows from it."""

from __future__ import annotations

import importlib.util
import keyword
import re
from dataclasses import dataclass

from ltbench.cli.extend.scaffold.kinds import Kind
from ltbench.errors import UserError
from ltbench.registry.discovery import Registry

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_LONGEST = 30
_PREFIX = "ltbench"
HOOKS = "plugin"  # the module beside the one that gets the name


@dataclass(frozen=True)
class Names:
    """Hold the names of a new plugin.

    Args:
        name: As a module and a method are called: ``my_loss``.
        registered: What a user types: the same; of a dataset ``my-loss``.
    """

    name: str
    registered: str

    @property
    def package(self) -> str:
        """The package."""
        return f"{_PREFIX}_{self.name}"

    @property
    def distribution(self) -> str:
        """The distribution, and the folder."""
        return self.package.replace("_", "-")

    @property
    def class_name(self) -> str:
        """The class."""
        return "".join(part.capitalize() for part in self.name.split("_"))


def choose_names(typed: str, kind: Kind, registry: Registry) -> Names:
    """Return what is called how."""
    if not _NAME.fullmatch(typed) or len(typed) > _LONGEST:
        raise UserError(f"NAME must be lower-case words of letters and digits with _ or - between them, {_LONGEST} characters at "
                        f"most, got {typed!r}")
    name = re.sub(f"^{_PREFIX}_(?=[a-z])", "", typed.replace("-", "_"))
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise UserError(f"NAME must not be a word of Python's own, got {typed!r}")
    if name == HOOKS:
        raise UserError(f"NAME must not be that of the module with the hooks, got {typed!r}")
    names = Names(name, name.replace("_", "-") if kind.noun == "dataset" else name)
    for catalog in (registry.methods, registry.datasets, registry.metrics, registry.backbones):
        for taken in (names.name, names.registered, typed):
            if taken in catalog:
                holder = catalog.get(taken).distribution
                raise UserError(f"NAME must be a new one, got {typed!r}: {holder} offers a {catalog.kind} of that name")
    for info in registry.plugins:
        if info.name == names.name or info.distribution in (names.distribution, names.package):
            raise UserError(f"NAME must be a new one, got {typed!r}: {info.distribution} has a plugin of that name")
    if importlib.util.find_spec(names.package) is not None:
        raise UserError(f"NAME must be a new one, got {typed!r}: a module {names.package!r} is there already")
    return names
