"""Registration; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench import MethodSpec, hookimpl

_BOTH = frozenset({1, 2})


def _spec(name: str, target: str, summary: str, paper: str, alias: str, kind: str,
          stages: frozenset[int] = _BOTH) -> MethodSpec:
    return MethodSpec(name, f"ltbench_losses.{target}", summary, stages, paper, aliases=(alias,), kind=kind)


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the methods."""
    return [
        _spec("vs", "vs:VectorScaling", "trains on logits multiplied and shifted by class sizes", "Kini et al., 2021",
              "vector_scaling", "margin"),
        _spec("cdt", "cdt:ClassDependentTemperatures", "trains on logits divided by temperatures, higher for smaller classes",
              "Ye et al., 2020", "class_dependent_temperatures", "margin"),
        _spec("ib", "ib:InfluenceBalanced", "divides losses by each sample's influence on the classifier, late",
              "Park et al., 2021", "influence_balanced", "loss", frozenset({1})),
        _spec("eql", "eql:Equalization", "leaves rare classes out of the softmax of other classes' images", "Tan et al., 2020",
              "equalization", "loss"),
        _spec("seesaw", "seesaw:Seesaw", "lets larger classes discourage smaller ones less, unless taken for them",
              "Wang et al., 2021", "seesaw_loss", "loss"),
        _spec("gcl", "gcl:GaussianClouded", "cosine classifier with random margins, larger for smaller classes",
              "Li et al., 2022", "gaussian_clouded", "margin"),
        _spec("arb", "arb:AttractionRepulsionBalanced", "weighs classes in a softmax by their images in the batch",
              "Xie et al., 2023", "attraction_repulsion_balanced", "margin"),
        _spec("reslt", "reslt:ResidualLearning", "adds residual branches for medium and small classes to a main one",
              "Cui et al., 2022", "residual_learning", "experts"),
    ]
