"""The datasets that come with ltbench, named without importing torch."""

from __future__ import annotations

from ltbench.hookspecs import hookimpl
from ltbench.specs import DatasetSpec


@hookimpl
def ltbench_datasets() -> list[DatasetSpec]:
    """Return the handwritten digits and the two CIFAR sets."""
    return [
        DatasetSpec("digits-lt", "ltbench.data.digits:DigitsLT", "handwritten digits, 8 x 8, part of scikit-learn", 10,
                    default_ratio=20.0, source="embedded"),
        DatasetSpec("cifar10-lt", "ltbench.data.cifar:Cifar10LT", "CIFAR-10, 32 x 32", 10,
                    default_ratio=100.0, source="download"),
        DatasetSpec("cifar100-lt", "ltbench.data.cifar:Cifar100LT", "CIFAR-100, 32 x 32", 100,
                    default_ratio=100.0, source="download"),
    ]
