"""Light descriptions of what plugins offer: no torch here, so that listing is instant."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_LOOSE_NAME = re.compile(r"[a-z][a-z0-9_-]*")

PROTOCOLS = ("smoke", "quick", "common")  # of every dataset
KINDS = ("loss", "margin", "sampler", "mixing", "contrastive", "regularizer", "experts", "head", "adaptation", "tool")

def _require(spec: object, name: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(name):
        raise ValueError(f"{type(spec).__name__}.name must match {pattern.pattern}, got {name!r}")


def load_target(target: str) -> Any:
    """Import ``module:attribute`` and return the attribute.

    Args:
        target: Where the object lives, for example ``my_package.method:MyMethod``.

    Raises:
        ValueError: If the text is not of that form.
        ImportError: If the module cannot be imported or lacks the attribute.
    """
    module, colon, attribute = target.partition(":")
    if not (module and colon and attribute):
        raise ValueError(f"target must be 'module:attribute', got {target!r}")
    try:
        return getattr(importlib.import_module(module), attribute)
    except AttributeError:
        raise ImportError(f"module {module!r} has no attribute {attribute!r}") from None


@dataclass(frozen=True)
class MethodSpec:
    """Describe a method without importing it.

    A method that is another one with some hyperparameters fixed, or with other defaults, needs no class of its own: a spec with
    ``fixed`` or ``defaults`` is a preset. ::

        MethodSpec("warm", "my_package.method:Tempered", "tempered at 2, for good", stages, fixed={"temperature": 2.0})

    It stands in listings, records and boards as a method of its own, is set by ``--set warm.KEY=VALUE`` and has the slots of its
    class, so that two presets of one class seldom fit into one stack.

    Args:
        name: What the user types: lower case, digits, underscores.
        target: ``module:Class`` of the :class:`ltbench.Method`.
        summary: One line for listings.
        stages: The stages it fits: 1 (trains the backbone), 2 (stands on an earlier stage), or both.
        paper: Authors and year, for example ``Cao et al., 2019``.
        aliases: Other names that the field uses.
        base: Whether this is the method that an empty stack stands for. Exactly one installed method says so.
        needs_classifier: Whether it reads or adjusts, in a later stage, what the stage before classifies with, so that it cannot
            stand on a backbone alone.
        needs_transformer: Whether it works on vision transformers alone, see :meth:`ltbench.BackboneFactory.transformer`: the
            conformance kit then tries it on a small one.
        needs_parts: Whether it runs the parts of its stage's backbone one by one, which must then have ``trunk``, ``last_stage``
            and ``pool(maps)``.
        continues: Whether it is a later stage with a ``fresh`` backbone that begins with the weights of the stage before, whose
            backbone and classifier must then have the shapes of its own.
        per_part: Whether it trains something else where ``--accumulate`` cuts a global batch into parts, seen one after the
            other: a loss on how images of a batch lie to each other does. The number of parts then stands in the key.
        partner: Whether the conformance kit tries every other method beside or below this one: a usual companion of its kind,
            such as one mixing of images, one weighting, one extra loss and one later stage.
        fixed: Hyperparameters of the class that the preset sets for good: they are no longer listed, and nobody sets them.
        defaults: Hyperparameters of the class that start at another value.
        kind: The family that listings show it in: what it changes, ``loss``, ``margin``, ``sampler``, ``mixing``,
            ``contrastive``, ``regularizer``, ``experts``, ``head`` or ``adaptation``, or ``tool`` for what looks or repairs;
            empty if none fits.
    """

    name: str
    target: str
    summary: str
    stages: frozenset[int]
    paper: str = ""
    aliases: tuple[str, ...] = ()
    base: bool = False
    needs_classifier: bool = False
    needs_transformer: bool = False
    needs_parts: bool = False
    continues: bool = False
    partner: bool = False
    per_part: bool = False
    fixed: Mapping[str, Any] = field(default_factory=dict, hash=False)
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    kind: str = ""

    def __post_init__(self) -> None:
        for name in (self.name, *self.aliases):
            _require(self, name, _NAME)
        if self.kind not in ("", *KINDS):
            raise ValueError(f"MethodSpec.kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        object.__setattr__(self, "stages", frozenset(self.stages))
        if not self.stages or not self.stages <= {1, 2}:
            raise ValueError(f"MethodSpec.stages must be a part of {{1, 2}}, got {set(self.stages)}")
        if both := self.fixed.keys() & self.defaults.keys():
            raise ValueError(f"MethodSpec.defaults must be of what is not fixed, got {', '.join(sorted(both))}")

    @property
    def is_preset(self) -> bool:
        """Whether it stands for its class with other hyperparameters."""
        return bool(self.fixed or self.defaults)


@dataclass(frozen=True)
class DatasetSpec:
    """Describe a dataset, or a family of them behind a prefix, without importing it.

    Args:
        name: What the user types: lower case, digits, hyphens. A name that ends with a colon is a family.
        target: ``module:attribute`` of a callable that returns an :class:`ltbench.Dataset`. It takes nothing; of a family, what
            follows the colon, and by name ``root`` (the folder of the data, or None) and ``download`` (whether the network may
            be used) if it has such parameters.
        summary: One line for listings.
        num_classes: C; None for a family.
        default_ratio: The imbalance ratio of the bare name; None where the data is used as it is.
        source: Where the images come from: ``embedded``, ``download`` or ``local``. A family that is not local has members that
            are the same for everybody, so that a record's name opens them again.
        remark: What a reader of its figures must know, in a sentence that stands beside them: test images that are known to stand
            in the training part too, for example.
        protocols: Names of its protocols, for listings.
        endings: Of a family: how the names of files end that it opens, for the hint where a path is typed alone.
        patterns: Of a family: whether it opens folders of such files and patterns for them too.
    """

    name: str
    target: str
    summary: str
    num_classes: int | None
    default_ratio: float | None = None
    source: str = "local"
    remark: str = ""
    protocols: tuple[str, ...] = PROTOCOLS
    endings: tuple[str, ...] = ()
    patterns: bool = False

    def __post_init__(self) -> None:
        _require(self, self.name.removesuffix(":"), _LOOSE_NAME)

    @property
    def is_family(self) -> bool:
        """Whether the name is a prefix: a member, with its classes, is known once a user names it."""
        return self.name.endswith(":")


@dataclass(frozen=True)
class MetricSpec:
    """Describe figures on the geometry of a finished run, without importing what computes them.

    Args:
        name: Under which the figures stand in a record: lower case, digits, underscores.
        target: ``module:function`` of a function that takes the last stage's tensors by name (see
            :mod:`ltbench.results.geometry`) and returns numbers by name.
        summary: One line for listings.
    """

    name: str
    target: str
    summary: str

    def __post_init__(self) -> None:
        _require(self, self.name, _NAME)


@dataclass(frozen=True)
class BackboneSpec:
    """Describe a backbone, or a family of them behind a prefix, without importing it.

    Args:
        name: What the user types. A name that ends with a colon is a family: what follows the colon is handed on.
        target: ``module:function`` of a builder: it takes a :class:`ltbench.BackboneRequest` and returns a module with
            ``feature_dim``.
        summary: One line for listings.
    """

    name: str
    target: str
    summary: str

    def __post_init__(self) -> None:
        _require(self, self.name.removesuffix(":"), _LOOSE_NAME)


@dataclass(frozen=True)
class AugmentationSpec:
    """Describe an augmentation, or a family of them behind a prefix, without importing it.

    A named sequence of others needs no class: a spec with ``parts`` stands for them. ::

        AugmentationSpec("washed", summary="gray and blurred", parts=("grayscale(p=1)", "gaussian_blur(largest=1)"))

    Args:
        name: What protocols and a method's ``views`` call it: lower case, digits, underscores. A name that ends with a colon is a
            family.
        target: ``module:Class`` of an :class:`ltbench.Augmentation`. It takes :class:`ltbench.ImageFacts`, and its options by
            name; of a family, also what follows the colon, and options as Python reads them.
        summary: One line for listings.
        parts: Other augmentations in order, each perhaps with options; in place of a target.
    """

    name: str
    target: str = ""
    summary: str = ""
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(self, self.name.removesuffix(":"), _NAME)
        object.__setattr__(self, "parts", tuple(self.parts))
        if bool(self.target) == bool(self.parts):
            raise ValueError(f"AugmentationSpec must have either target or parts, got {self.target!r} and {self.parts}")
