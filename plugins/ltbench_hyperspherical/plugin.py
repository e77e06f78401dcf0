"""Registration; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench import MethodSpec, hookimpl

_FIRST = frozenset({1})


@hookimpl
def ltbench_methods() -> Iterable[MethodSpec]:
    """Describe the methods."""
    own = "Saadabadi et al., 2024"
    return [
        MethodSpec("hyperspherical", "ltbench_hyperspherical.hyperspherical:Hyperspherical",
                   "evenly spread fixed prototypes, whose labels are reassigned as features move", _FIRST, own, kind="head"),
        MethodSpec("hyperspherical_psc", "ltbench_hyperspherical.hyperspherical_psc:TrainedPrototypes",
                   "dynamic assignment on the weight vectors of a trained softmax classifier", frozenset({2}), own,
                   needs_classifier=True, kind="head"),
        MethodSpec("psc", "ltbench_hyperspherical.psc:ParametricSoftmax",
                   "softmax classifier on projected features, its weight vectors spread by a loss, fixed, or free", _FIRST, own,
                   aliases=("parametric_softmax",), kind="head"),
        MethodSpec("etf", "ltbench_hyperspherical.etf:SimplexETF", "a fixed regular simplex as classifier, with dot regression",
                   _FIRST, "Yang et al., 2022", aliases=("simplex_etf",), kind="head"),
        MethodSpec("hpn", "ltbench_hyperspherical.hpn:HypersphericalPrototypeNetwork",
                   "fixed prototypes with nearest neighbors pushed apart, and the squared cosine distance", _FIRST,
                   "Mettes et al., 2019", aliases=("hyperspherical_prototype_network",), kind="head"),
        MethodSpec("max_separation", "ltbench_hyperspherical.max_separation:MaximumSeparation",
                   "C - 1 outputs times a fixed matrix, the vertices of a regular simplex", _FIRST, "Kasarla et al., 2022",
                   aliases=("maximum_separation",), kind="head"),
        MethodSpec("word2vec", "ltbench_hyperspherical.word2vec:Word2VecPrototypes",
                   "word vectors of class names as fixed prototypes, from a file", _FIRST, "Mettes et al., 2019", kind="head"),
    ]
