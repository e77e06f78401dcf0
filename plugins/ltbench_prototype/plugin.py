"""Registration of the prototype classifiers; imports no torch."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from ltbench import MethodSpec, hookimpl

_NO_TEMPERATURES = {"cdt": False, "temperature_lr": 0.005, "temperature_weight_decay": 0.0}
_PUBLIC = {"tau": 1 / 3.8, "lr": 4.2, "temperature_weight_decay": 2e-4, "centroid_view": "augmented"}


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the prototype classifier, its ablation, and its public code's choices."""
    spec = functools.partial(MethodSpec, stages=frozenset({2}), paper="Sharma et al., 2023", kind="head")
    target = "ltbench_prototype.prototype:PrototypeClassifier"
    return [
        spec("prototype", target, "learns one prototype a class by its distance to features", aliases=("pc_cdt_la",)),
        # The rows of table 1.
        spec("pc", target, "learns prototypes without channel temperatures and logit adjustment",
             fixed={**_NO_TEMPERATURES, "tau": 0.0}),
        spec("pc_cdt", target, "learns prototypes and channel temperatures", fixed={"cdt": True, "tau": 0.0}),
        spec("pc_la", target, "learns prototypes with logit adjustment", fixed=_NO_TEMPERATURES),
        spec("prototype_public", "ltbench_prototype.prototype:PublicPrototypeClassifier",
             "the prototype classifier with the choices of its public code", defaults=_PUBLIC,
             fixed={"draws": None, "mirror": None}),
    ]
