"""Check whatever plugins offer: methods, datasets and metrics, by name, by plugin, by file or by folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ltbench.errors import UserError, unknown
from ltbench.method.from_file import PREFIX
from ltbench.registry.discovery import PluginInfo, Registry
from ltbench.testing import dataset_kit, kit, metric_kit, scene
from ltbench.testing.checks import Check
from ltbench.testing.results import Result
from ltbench.testing.targets import is_folder, read_project

_LOADS = "loads"
_TRAINS, _LOST = "trains", "it does not train"
_ABOUT = {"method": {name: check.about for name, check in kit.CHECKS.items()}
          | {name: (together.__doc__ or "").partition("\n")[0].removesuffix(".") for name, together in kit.APART.items()}}
_KITS: dict[str, dict[str, Check]] = {"dataset": dataset_kit.CHECKS, "metric": metric_kit.CHECKS}
_ABOUT |= {kind: {name: check.about for name, check in checks.items()} for kind, checks in _KITS.items()}
NAMES = sorted({name for checks in _ABOUT.values() for name in checks})


@dataclass(frozen=True)
class Offered:
    """Name one thing that a plugin offers.

    Args:
        kind: ``method``, ``dataset`` or ``metric``; ``plugin`` for one that is broken.
        plugins: That are not installed and must be there.
    """

    kind: str
    name: str
    distribution: str
    version: str
    plugins: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Checked:
    """Hold what was found of one thing."""

    offered: Offered
    results: list[Result]

    def about(self, result: Result) -> str:
        """Return what a check does, in one line."""
        return _ABOUT.get(self.offered.kind, {}).get(result.check, "Import it and read its hooks")


def find_offered(targets: Sequence[str], files: Sequence[str] = ()) -> list[Offered]:
    """Find what is meant."""
    if not targets:
        registry = scene.installed(tuple(files))
        own = registry.methods.get(registry.base_method).distribution
        return [one for info in registry.plugins if info.distribution != own and not info.disabled
                for one in _of_plugin(info, tuple(files))]
    found: list[Offered] = []
    for target in targets:
        path = target.endswith(".py") or is_folder(target)
        plugins = tuple(dict.fromkeys([*files, *([str(Path(target).absolute())] if path else [])]))
        registry = scene.installed(plugins)
        if path:
            name = f"{PREFIX}{Path(target).name}" if target.endswith(".py") else str(read_project(Path(target))["name"])
            found += _of_plugins(registry, name, plugins)
        else:
            found += _of_name(registry, target, plugins)
    return list(dict.fromkeys(found))


def _of_name(registry: Registry, name: str, plugins: tuple[str, ...]) -> list[Offered]:
    for kind, catalog in (("method", registry.methods), ("dataset", registry.datasets), ("metric", registry.metrics)):
        if name in catalog:
            entry = catalog.get(name)
            return [Offered(kind, entry.spec.name, entry.distribution, entry.version, plugins)]
    found = _of_plugins(registry, name, plugins)
    if not found and Path(name).exists():
        raise UserError(f"PATH must be a Python file or a folder with a pyproject.toml, got {name!r}")
    if not found:
        known = {*registry.methods, *registry.datasets, *registry.metrics}
        raise unknown("method, dataset, metric, plugin or distribution", name,
                      known | {label for info in registry.plugins for label in (info.name, info.distribution)})
    return found


def _of_plugins(registry: Registry, name: str, plugins: tuple[str, ...]) -> list[Offered]:
    return [one for info in registry.plugins if name in (info.name, info.distribution) for one in _of_plugin(info, plugins)]


def _of_plugin(info: PluginInfo, plugins: tuple[str, ...]) -> Iterator[Offered]:
    if info.error is not None:
        yield Offered("plugin", info.name, info.distribution, info.version, plugins, info.error)
    for kind, names in info.offers.items():
        for name in names:
            if kind in _ABOUT:
                yield Offered(kind, name, info.distribution, info.version, plugins)


def check_offered(offered: Sequence[Offered], only: Iterable[str] | None = None,
                  data_root: str | None = None) -> Iterator[Checked]:
    """Make every check, one thing after the other.

    Args:
        only: Names of the checks to make; None for all.
        data_root: The folder that data is kept in; None for LTBENCH_DATA.
    """
    chosen = set(NAMES if only is None else only)
    apart: dict[tuple[str, ...], dict[str, dict[str, Result]]] = {}
    for one in offered:
        if one.kind == "method":
            if one.plugins not in apart:  # once for all methods: to start the processes takes the longest
                like = [other for other in offered if other.kind == "method" and other.plugins == one.plugins]
                apart[one.plugins] = _apart(like, chosen)
            results = _method_results(one, chosen) + [found[one.name] for found in apart[one.plugins].values()]
        elif one.kind == "dataset":
            results = dataset_kit.check_dataset(one.name, plugins=one.plugins, data_root=data_root, only=chosen)
        elif one.kind == "metric":
            results = metric_kit.check_metric(one.name, plugins=one.plugins, only=chosen)
        else:
            results = [Result(one.name, _LOADS, "failed", one.error, "`ltbench plugins` lists every plugin with its error")]
        if results:
            yield Checked(one, results)


def _apart(methods: Sequence[Offered], chosen: set[str]) -> dict[str, dict[str, Result]]:
    """Make the checks in processes of their own, of the methods that train; by check and by method."""
    wanted = [check for check in kit.APART if check in chosen]
    lost = {one.name for one in methods if wanted and _TRAINS in chosen
            and not kit.run_check(_TRAINS, one.name, plugins=one.plugins).ok}
    names = [one.name for one in methods if one.name not in lost]
    return {check: {**(kit.run_apart(check, names, plugins=methods[0].plugins) if names else {}),
                    **{name: Result(name, check, "skipped", _LOST) for name in lost}} for check in wanted}


def _method_results(one: Offered, chosen: set[str]) -> list[Result]:
    """Make the checks of this process; what does not train at all is not tried in ten other ways."""
    results: list[Result] = []
    trains = True
    for check in kit.CHECKS:
        if check in chosen:
            results.append(kit.run_check(check, one.name, plugins=one.plugins) if trains else
                           Result(one.name, check, "skipped", _LOST))
            trains = trains and (check != _TRAINS or results[-1].ok)
    return results
