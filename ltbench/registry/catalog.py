"""Maps from names to what plugins offer under them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ltbench.errors import UserError, brief, unknown
from ltbench.registry.presets import preset_class
from ltbench.registry.specs import AugmentationSpec, BackboneSpec, DatasetSpec, MethodSpec, MetricSpec, load_target

SpecT = TypeVar("SpecT", MethodSpec, DatasetSpec, BackboneSpec, MetricSpec, AugmentationSpec)


@dataclass(frozen=True)
class Registered(Generic[SpecT]):
    """Hold a spec with where it came from."""

    spec: SpecT
    plugin: str
    distribution: str
    version: str

    def load(self) -> Any:
        """Import what the spec points to; of a preset, return its own class."""
        try:
            loaded = load_target(self.spec.target)
            return preset_class(loaded, self.spec) if isinstance(self.spec, MethodSpec) and self.spec.is_preset else loaded
        except Exception as error:
            raise UserError(f"{self.spec.name!r} of {self.distribution} cannot be imported: {brief(error)}") from error


class Catalog(Generic[SpecT]):
    """Map names to registered specs; a name that two plugins offer belongs to neither."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Registered[SpecT]] = {}
        self._aliases: dict[str, str] = {}
        self._contested: dict[str, str] = {}

    def add(self, entry: Registered[SpecT]) -> str | None:
        """Take one entry in.

        Returns:
            What is wrong, if one of its names is taken already.
        """
        spec = entry.spec
        aliases: tuple[str, ...] = getattr(spec, "aliases", ())  # only methods have some
        for name in (spec.name, *aliases):
            if name in self._contested:
                return self._contested[name]
            holder: Registered[SpecT] | None = self._entries.get(self._aliases.get(name, name))
            if holder is not None:
                problem = (f"{self.kind} {name!r} is offered by both {holder.distribution} ({holder.plugin}) and "
                           f"{entry.distribution} ({entry.plugin}); leave one out with --no-plugin")
                # Whoever had the name loses it with all its aliases: any of them would lead to a winner.
                held: SpecT = holder.spec
                for lost in (name, held.name, *getattr(held, "aliases", ())):
                    self._contested[lost] = problem
                    self._entries.pop(lost, None)
                    self._aliases.pop(lost, None)
                return problem
        self._entries[spec.name] = entry
        self._aliases.update(dict.fromkeys(aliases, spec.name))
        return None

    def get(self, name: str, *, maybe: str = "", because: str = "") -> Registered[SpecT]:
        """Look a name or an alias up.

        Args:
            name: What the user wrote.
            maybe: What else the user may have meant, should nobody offer it.
            because: What else is said of it then.

        Raises:
            UserError: If nobody or more than one plugin offers it.
        """
        if name in self._contested:
            raise UserError(self._contested[name])
        entry = self._entries.get(self._aliases.get(name, name))
        if entry is None:
            raise unknown(self.kind, name, self._entries, maybe=maybe, because=because)
        return entry

    def values(self) -> list[Registered[SpecT]]:
        """Return all entries, sorted by name."""
        return [self._entries[name] for name in sorted(self._entries)]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._aliases

    def __len__(self) -> int:
        return len(self._entries)
