"""The protocols of somebody's own images, which are known without opening them."""

from __future__ import annotations

from collections.abc import Mapping

from ltbench.data.own import PROTOCOLS
from ltbench.data.own_arrays import array_protocols
from ltbench.errors import UserError
from ltbench.registry.discovery import Registry
from ltbench.terms.protocol import Protocol

_CORE = "ltbench.data."
_ARRAYS = [array_protocols(mirrored=mirrored) for mirrored in (True, False)]


def own_protocols(dataset: str, registry: Registry) -> list[Mapping[str, Protocol]]:
    """Return the protocols that a member of a family may have, by name; nothing for a family that ltbench does not bring.

    Args:
        dataset: As records name it, for example ``folder:photos``.
    """
    try:
        entry, member = registry.dataset(dataset)
    except UserError:
        return []
    if member is None or not entry.spec.target.startswith(_CORE):
        return []
    return [PROTOCOLS] if entry.spec.source == "local" else [PROTOCOLS, *_ARRAYS]
