"""Datasets and metrics that are each wrong in one way, for the conformance kit to find."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

import ltbench
from ltbench.data.digits import DigitsLT


class Misnamed(DigitsLT):
    """Be called as another dataset is."""


class Planted(DigitsLT):
    """Be sound, under a name that a class below sets."""

    def load(self, root: Path | None, *, download: bool = False) -> ltbench.Parts:
        return self.change(super().load(root))

    def change(self, parts: ltbench.Parts) -> ltbench.Parts:
        return parts


class Unprotocolled(Planted):
    """Say nothing of one protocol."""

    name = "planted-unprotocolled"
    protocols = {name: protocol for name, protocol in DigitsLT.protocols.items() if name != "quick"}


class Cropped(Planted):
    """Give smaller images than it says."""

    name = "planted-cropped"

    def change(self, parts: ltbench.Parts) -> ltbench.Parts:
        return ltbench.Parts(*(ltbench.TensorImages(part.fetch(torch.arange(len(part.labels)))[..., :7, :7], part.labels)
                               for part in (parts.train, parts.test)))


class Leaking(Planted):
    """Test on the images that it trains on."""

    name = "planted-leaking"

    def change(self, parts: ltbench.Parts) -> ltbench.Parts:
        return ltbench.Parts(parts.train, parts.train)


class Greedy(Planted):
    """Promise more images of a class than there are."""

    name = "planted-greedy"
    max_per_class = 1000


class Abrupt(Planted):
    """Open a file that is not there."""

    name = "planted-abrupt"

    def load(self, root: Path | None, *, download: bool = False) -> ltbench.Parts:
        if root is None:
            return super().load(root)
        raise FileNotFoundError(root / "images")


class Bright(Planted):
    """Divide by a deviation that is next to nothing."""

    name = "planted-bright"
    std = (1e-38,)


def raising(geometry: Mapping[str, Tensor]) -> dict[str, float]:
    """Demand a tensor of the head."""
    return {"norm": float(geometry["head.classifier.weight"].norm())}


def endless(geometry: Mapping[str, Tensor]) -> dict[str, float]:
    """Divide by an empty class."""
    return {"smallest": 1 / max(float(geometry["class_counts"].min()), 0.0) if geometry["class_counts"].min() else math.inf}


def writing(geometry: Mapping[str, Tensor]) -> dict[str, float]:
    """Sort in place what others read after it."""
    geometry["class_means"].zero_()
    return {"nothing": 0.0}


def silent(geometry: Mapping[str, Tensor]) -> dict[str, float]:
    return {}


_EMBEDDED = (Misnamed, Unprotocolled, Cropped, Leaking, Greedy, Bright)


@ltbench.hookimpl
def ltbench_datasets() -> list[ltbench.DatasetSpec]:
    return [ltbench.DatasetSpec(f"planted-{kind.__name__.lower()}", f"{__name__}:{kind.__name__}", "wrong on purpose", 10, 20.0,
                                "local" if kind is Abrupt else "embedded") for kind in (*_EMBEDDED, Abrupt)]


@ltbench.hookimpl
def ltbench_metrics() -> list[ltbench.MetricSpec]:
    return [ltbench.MetricSpec(f"planted_{name}", f"tests.support.planted_offers:{name}", "wrong on purpose")
            for name in ("raising", "endless", "writing", "silent")]
