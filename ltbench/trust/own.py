"""The protocols of somebody's own images, which are known without opening them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ltbench.data.cifar import Cifar10LT
from ltbench.data.own import PROTOCOLS
from ltbench.errors import UserError
from ltbench.registry.discovery import Registry
from ltbench.terms.protocol import Protocol

_CORE = "ltbench.data."
# As :class:`ltbench.data.own_arrays.OwnArrays` has them: an image may be mirrored, or not.
_ARRAYS = [{name: replace(protocol, augmentation=augmentation) for name, protocol in Cifar10LT.protocols.items()}
           for augmentation in (("crop", "flip"), ("crop",))]


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
