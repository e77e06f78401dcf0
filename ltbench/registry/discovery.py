"""Discovery of plugins, isolation of broken ones, and look-up by name."""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pluggy

from ltbench.errors import UserError, brief, unknown
from ltbench.registry import hookspecs
from ltbench.registry.catalog import Catalog, Registered
from ltbench.registry.paths import meant_path
from ltbench.registry.specs import AugmentationSpec, BackboneSpec, DatasetSpec, MethodSpec, MetricSpec


@dataclass
class PluginInfo:
    """Describe one entry point: a working plugin, or a broken one with its error."""

    name: str
    distribution: str
    version: str
    error: str | None = None
    disabled: bool = False
    offers: dict[str, list[str]] = field(default_factory=dict)


class Registry:
    """Hold everything that the installed plugins offer."""

    def __init__(self) -> None:
        self.methods: Catalog[MethodSpec] = Catalog("method")
        self.datasets: Catalog[DatasetSpec] = Catalog("dataset")
        self.backbones: Catalog[BackboneSpec] = Catalog("backbone")
        self.augmentations: Catalog[AugmentationSpec] = Catalog("augmentation")
        self.metrics: Catalog[MetricSpec] = Catalog("metric")
        self.plugins: list[PluginInfo] = []
        self.files: list[Path] = []  # that were named by hand, see ltbench.method.from_file
        self.problems: list[str] = []
        self.manager = _new_manager()

    @property
    def base_method(self) -> str:
        """The name of the method that an empty stack stands for.

        Raises:
            UserError: If not exactly one installed method is the base.
        """
        names = [entry.spec.name for entry in self.methods.values() if entry.spec.base]
        if len(names) != 1:
            found = "; ".join([", ".join(names) or "none", *self.problems])
            raise UserError(f"exactly one installed method must be the base of all others, got {found}")
        return names[0]

    @property
    def remarks(self) -> dict[str, str]:
        """What stands beside the figures of a dataset, by its name."""
        return {entry.spec.name: entry.spec.remark for entry in self.datasets.values() if entry.spec.remark}

    def dataset(self, name: str) -> tuple[Registered[DatasetSpec], str | None]:
        """Look a dataset up.

        Args:
            name: Without a ratio; ``family:member`` for a family.

        Returns:
            Its entry, and the member that a family is asked for; None for what is no family.
        """
        family, colon, member = name.partition(":")
        if family + colon in self.datasets:
            return self.datasets.get(family + colon), member if colon else None
        maybe, because = meant_path(name, [entry.spec for entry in self.datasets.values()])
        return self.datasets.get(name if "/" in family else family + colon, maybe=maybe, because=because), None

    def backbone(self, name: str) -> tuple[Registered[BackboneSpec], str]:
        """Look a backbone up.

        Args:
            name: As in a protocol; ``family:member`` for a family.

        Returns:
            Its entry, and what its builder is asked for: the member, or the name itself.
        """
        family, colon, member = name.partition(":")
        return self.backbones.get(family + colon, maybe="" if colon else f"timm:{name}"), member if colon else name

    def augmentation(self, name: str) -> tuple[Registered[AugmentationSpec], str | None]:
        """Look an augmentation up.

        Args:
            name: Without options; ``family:member`` for a family.

        Returns:
            Its entry, and the member that a family is asked for; None for what is no family.
        """
        family, colon, member = name.partition(":")
        return self.augmentations.get(family + colon), member if colon else None

    def add(self, plugin: object, info: PluginInfo) -> None:
        """Take a plugin in; what is broken about it is noted, never raised.

        Args:
            info: Where it came from; its error and offers are filled in.
        """
        self.plugins.append(info)
        try:
            trial = _new_manager()  # a misspelt hook must not spoil the shared manager
            trial.register(plugin, info.name)
            trial.check_pending()
            hooks: tuple[tuple[str, Catalog[Any], type], ...] = (
                ("ltbench_methods", self.methods, MethodSpec),
                ("ltbench_datasets", self.datasets, DatasetSpec),
                ("ltbench_backbones", self.backbones, BackboneSpec),
                ("ltbench_augmentations", self.augmentations, AugmentationSpec),
                ("ltbench_metrics", self.metrics, MetricSpec),
            )
            offers = [(catalog, _checked(trial, hook, kind)) for hook, catalog, kind in hooks]
            self.manager.register(plugin, f"{info.distribution}:{info.name}")
        except (Exception, SystemExit) as error:
            self._fail(info, brief(error))
            return
        for catalog, specs in offers:
            for spec in specs:
                problem = catalog.add(Registered(spec, info.name, info.distribution, info.version))
                if problem:
                    self._fail(info, problem)
                else:
                    info.offers.setdefault(catalog.kind, []).append(spec.name)
        for catalog, _ in offers:
            for other in self.plugins:  # whoever held a name that is contested now has lost it
                kept = [name for name in other.offers.get(catalog.kind, []) if name in catalog]
                if len(kept) < len(other.offers.get(catalog.kind, [])):
                    lost = sorted(set(other.offers[catalog.kind]) - set(kept))
                    other.offers[catalog.kind] = kept
                    other.error = other.error or f"{catalog.kind} {', '.join(lost)} is offered by {info.distribution} too"

    def fail(self, info: PluginInfo, error: BaseException) -> None:
        """Note a plugin that could not even be imported."""
        self.plugins.append(info)
        self._fail(info, brief(error))

    def add_commands(self, commands: argparse._SubParsersAction[Any]) -> None:
        """Let every plugin add its verbs; one that cannot is noted, and the others work."""
        for hook in reversed(self.manager.hook.ltbench_commands.get_hookimpls()):  # registered last comes first
            try:
                hook.function(*(commands for _ in hook.argnames))
            except (Exception, SystemExit) as error:
                problem = f"its commands are left out: {brief(error)}"
                for info in self.plugins:
                    if hook.plugin_name == f"{info.distribution}:{info.name}":
                        self._fail(info, problem)

    def require_sound(self) -> None:
        """Refuse any problem, for strict mode."""
        if self.problems:
            raise UserError("strict mode: " + "; ".join(self.problems))

    def _fail(self, info: PluginInfo, problem: str) -> None:
        info.error = problem
        self.problems.append(f"plugin {info.name!r} of {info.distribution}: {problem}")


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    return manager


def _checked(manager: pluggy.PluginManager, hook: str, kind: type) -> list[Any]:
    specs = [spec for part in getattr(manager.hook, hook)() for spec in part]
    for spec in specs:
        if not isinstance(spec, kind):
            raise TypeError(f"{hook} must return {kind.__name__} objects, got {type(spec).__name__}")
    return specs


def installed_entry_points() -> Iterable[importlib.metadata.EntryPoint]:
    """Yield what distributions name as plugins, each once."""
    seen: set[tuple[str, str, str]] = set()
    for entry in importlib.metadata.entry_points(group=hookspecs.GROUP):
        # The same distribution can be found twice on sys.path (an editable install run from its own folder).
        identity = (_told(entry.dist)[0], entry.name, entry.value)
        if identity not in seen:
            seen.add(identity)
            yield entry


@functools.lru_cache(64)  # a distribution parses its metadata anew whenever it is asked, and is asked for each of its plugins
def _told(distribution: importlib.metadata.Distribution | None) -> tuple[str, str]:
    """Return name and version of a distribution."""
    return (distribution.name, distribution.version) if distribution else ("?", "?")


def is_strict() -> bool:
    """Tell whether ``LTBENCH_STRICT`` makes any problem of a plugin an error."""
    return os.environ.get("LTBENCH_STRICT", "") not in ("", "0")


def load_registry(disabled: Sequence[str] = (), *, strict: bool | None = None,
                  entry_points: Callable[[], Iterable[importlib.metadata.EntryPoint]] = installed_entry_points) -> Registry:
    """Find every installed plugin.

    pluggy's own loader would let one bad import end the program and would silently drop the second of two entry points with one
    name, so each is loaded here.

    Args:
        disabled: Plugins or distributions to leave out, besides those of ``LTBENCH_DISABLE_PLUGINS`` (comma-separated).
        strict: Whether any problem is an error; None reads ``LTBENCH_STRICT``.

    Raises:
        UserError: In strict mode, if any plugin has a problem; for a disabled name that no plugin has.
    """
    registry = Registry()
    strict = is_strict() if strict is None else strict
    from_environment = {name.strip() for name in os.environ.get("LTBENCH_DISABLE_PLUGINS", "").split(",")} - {""}
    left_out = set(disabled) | from_environment
    known: set[str] = set()
    for entry in entry_points():
        distribution, version = _told(entry.dist)
        info = PluginInfo(entry.name, distribution, version)
        known |= {entry.name, distribution}
        if left_out & {entry.name, distribution}:
            info.disabled = True
            registry.plugins.append(info)
            continue
        try:
            plugin = entry.load()
        except (Exception, SystemExit) as error:  # whatever a stranger's module does at import, the others must work
            registry.fail(info, error)
        else:
            registry.add(plugin, info)
    for name in sorted(set(disabled) - known):
        raise unknown("plugin", name, known)
    if strict:
        registry.require_sound()
    return registry


def load_method(name: str) -> type[Any]:
    """Return the class of an installed method, for whoever builds on a method of another plugin.

    Raises:
        UserError: If no plugin offers it, or it cannot be imported.
    """
    loaded: type[Any] = load_registry().methods.get(name).load()
    return loaded
