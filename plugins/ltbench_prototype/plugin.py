"""Registration of the prototype classifiers; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench import MethodSpec, hookimpl


def _spec(name: str, target: str, summary: str, aliases: tuple[str, ...] = ()) -> MethodSpec:
    return MethodSpec(name, f"ltbench_prototype.{target}", summary, frozenset({2}), "Sharma et al., 2023", aliases)


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the prototype classifier, its ablation, and its public code's choices."""
    return [
        _spec("prototype", "prototype:PrototypeClassifier", "learns one prototype a class by its distance to features",
              aliases=("pc_cdt_la",)),
        _spec("pc", "pc:PrototypesOnly", "learns prototypes without channel temperatures and logit adjustment"),
        _spec("pc_cdt", "pc_cdt:PrototypesWithTemperatures", "learns prototypes and channel temperatures"),
        _spec("pc_la", "pc_la:AdjustedPrototypes", "learns prototypes with logit adjustment"),
        _spec("prototype_public", "prototype_public:PublicPrototypeClassifier",
              "the prototype classifier with the choices of its public code"),
    ]
