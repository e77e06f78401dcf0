"""Every pair of stages, and every triple on three first stages, by planning: refused where a table written by hand says so."""

from __future__ import annotations

import pytest

from ltbench.data.digits import DigitsLT
from ltbench.errors import UserError
from ltbench.planning.plan import plan_run
from ltbench.registry.discovery import load_registry
from ltbench.registry.specs import MethodSpec
from ltbench.terms.protocol import Protocol
from ltbench.terms.task import Task
from ltbench.testing import scene
from tests.support.methods import NEED_A_FILE

REGISTRY = scene.installed()
SPECS: list[MethodSpec] = [entry.spec for entry in map(REGISTRY.methods.get, load_registry(strict=False).methods)
                           if entry.distribution == "ltbench"]
TRANSFORMERS = {spec.name for spec in SPECS if spec.needs_transformer}
FIRST = sorted({spec.name for spec in SPECS if 1 in spec.stages})
LATER = sorted({spec.name for spec in SPECS if 2 in spec.stages})

# What a stage leaves that is not a linear classifier.
LEAVES = {"dnc": "SubCentroids", "ldam": "cosine", "gcl": "cosine", "lift": "cosine", "reslt": "residual branches",
          "tde": "several heads", "lws": "scales",
          "mislas": "scales", "disalign": "calibration", "oltr": "a memory",
          **dict.fromkeys(("ride", "ncl", "sade", "shike", "shike_rebalance"), "experts"), "lfme_experts": "experts of shots",
          "cb_experts": "experts that reject", "cb_calibration": "calibrated experts",
          **dict.fromkeys(("hyperspherical", "hyperspherical_psc", "etf", "hpn", "word2vec", "max_separation"),
                          "fixed prototypes"),
          **dict.fromkeys(("ncm", "lncm", "lncm_la", "pc", "pc_la"), "centroids"),
          **dict.fromkeys(("prototype", "pc_cdt", "prototype_public"), "temperatures"),
          **dict.fromkeys(("multi_ncm", "multi_ncm_la"), "several centroids"),
          **dict.fromkeys(("lncm_global", "lncm_local", "local_projection"), "a metric")}
NEEDS = {**dict.fromkeys(("lws", "tau_norm", "disalign", "maxnorm", "iccl_rebalance", "hyperspherical_psc",
                          "dro_lt_public", "tsc", "mislas"), "linear"),
         **dict.fromkeys(("multi_ncm", "multi_ncm_la"), "centroids"), "lfme": "experts of shots",
         "cb_calibration": "experts that reject", "shike_rebalance": "experts"}
PASSED_ON = ("bn_stats", "post_la", "tte")
# Branches, experts and what looks at maps leave no backbone with one last stage to cut off; transformers have none.
CUT_UP = {"bbn", "ride", "ncl", "sade", "shike", "lfme_experts", "cb_experts", "oltr", *TRANSFORMERS}
CUTS = ("cb_experts", "oltr")
FRESH = ("lfme", "m2m", "tsc")  # begin a new backbone
# What goes on with the weights of the stage before needs a network and a classifier of the same form.
CONTINUES = "tsc"
OTHER_BACKBONES = CUT_UP - {"bitfit", "linear_probe"}  # these two add nothing to a transformer
WITHOUT_BIAS = ("psc", "tau_norm")


def refused(text: str, protocol: Protocol = scene.PROTOCOL) -> str | None:
    if TRANSFORMERS & set(text.partition("/")[0].split("+")):
        protocol = protocol.replace(backbone=scene.TRANSFORMER)
    try:
        plan_run(text, Task("digits-lt", 20.0), protocol, REGISTRY, DigitsLT())
    except UserError as error:
        return str(error)
    return None


def works(stages: tuple[str, ...]) -> bool:
    """Tell by the tables above."""
    left = "linear"
    if NEED_A_FILE & {*stages}:
        return False
    for number, name in enumerate(stages):
        shaping = {*stages[max((i for i in range(number) if stages[i] in FRESH), default=0):number]}  # whose backbone it is
        if name == CONTINUES and (OTHER_BACKBONES & shaping or stages[number - 1] in WITHOUT_BIAS):
            return False
        if number and (NEEDS.get(name, left) != left or name in CUTS and CUT_UP & shaping):
            return False
        left = left if number and name in PASSED_ON else LEAVES.get(name, "linear")
    return True


def test_the_table_is_of_all_methods() -> None:
    assert {*LEAVES, *NEEDS, *PASSED_ON} <= {*FIRST, *LATER}
    assert len(FIRST) > 20 and len(LATER) > 30


@pytest.mark.parametrize("below", FIRST)
def test_every_pair(below: str) -> None:
    for name in LATER:
        assert (refused(f"{below}/{name}") is None) == works((below, name)), (below, name)


@pytest.mark.parametrize("first", ["ce", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ldam", "ride"))])
def test_every_triple_on_some_first_stages(first: str) -> None:
    for below in LATER:
        for name in LATER if works((first, below)) else ():
            assert (refused(f"{first}/{below}/{name}") is None) == works((first, below, name)), (first, below, name)


def test_options_count() -> None:
    for able in ("ce/prototype(cdt=false)/multi_ncm", "ldam/iccl_rebalance(classifier=new)", "ce/crt/tau_norm",
                 "ldam/bn_stats/crt/tau_norm", "ce/learning_curve/tau_norm"):
        assert refused(able) is None, able
    assert refused("ce/ncm(distance=cosine)/multi_ncm") == (
        "'multi_ncm' must stand on a stage that leaves 'centroids' (as 'lncm' does), got 'ncm(distance=cosine)', which leaves "
        "'DistanceClassifier'")
    for unable in ("ce/crt+ldam/tau_norm", "ldam/bn_stats/lws", "ldam/post_la/maxnorm", "ce/pc(distance=squared)/multi_ncm"):
        assert refused(unable), unable


@pytest.mark.parametrize("name", ["ride", "sade", "bbn", "shike"])
def test_a_first_stage_on_a_backbone_that_lacks_its_parts(name: str) -> None:
    protocol = scene.PROTOCOL.replace(backbone=scene.TRANSFORMER)
    with pytest.raises(UserError, match="cannot be split"):
        plan_run(name, Task("digits-lt", 20.0), protocol, REGISTRY, DigitsLT())
    assert refused(name) is None


@pytest.mark.parametrize("name", ["cb", "drs", "balanced_softmax", "rs", "drw"])
def test_nothing_trains_a_fixed_head(name: str) -> None:
    for fixed in ("ncm", "tau_norm"):
        assert refused(f"ce/{name}+{fixed}") == (
            f"{name!r} would have nothing to train: the head of {fixed!r} is fixed and the backbone frozen")
    assert refused(f"ce/{name}+crt") is None or name in ("rs", "drs")  # which draw, as crt does


# One of each kind that is left, with one of each kind that reads it.
SAMPLE = ["ce/lws", "crt/tau_norm", "ce/ncm/multi_ncm", "ce/pc_la/multi_ncm_la", "ldam/bn_stats", "ride/crt", "tde/post_la",
          "etf/lncm", "psc/hyperspherical_psc", "iccl/maxnorm", "ldam/iccl_rebalance(classifier=new)"]
MORE = [f"{below}/{name}" for below in ("bbn", "ride", "psc", "ldam", "etf", "iccl") for name in LATER
        if works((below, name))]


@pytest.mark.parametrize("text", [*SAMPLE, *(pytest.param(text, marks=pytest.mark.slow) for text in MORE)])
def test_what_is_planned_runs(text: str) -> None:
    place = scene.Scene(scene.installed())
    with scene.scratch() as folder:
        place.train(text, folder)


@pytest.mark.parametrize(("text", "what"), [
    ("bbn/tsc", "backbone must have its own shapes: trunk.0.weight must be of shape (16, 1, 3, 3), got none from 'bbn'"),
    ("bbn/crt/post_la/tsc",
     "backbone must have its own shapes: trunk.0.weight must be of shape (16, 1, 3, 3), got none from 'crt'"),
    ("psc/tsc", "classifier must have its own shapes: bias must be of shape (10,), got none from 'psc'"),
    ("psc/maxnorm/tsc", "classifier must have its own shapes: bias must be of shape (10,), got none from 'maxnorm'"),
    ("psc/bn_stats/post_la/tsc", "classifier must have its own shapes: bias must be of shape (10,), got none from 'bn_stats'"),
    ("kcl(dim=64)/tsc", "head must have its own shapes: projector.layers.0.weight must be of shape (128, 64), got of shape "
     "(64, 64) from 'kcl(dim=64)'")])
def test_what_begins_with_the_weights_below_has_their_shapes(text: str, what: str) -> None:
    assert refused(text) == f"'tsc' begins with the weights of the stage before, whose {what}"


def test_what_has_their_shapes_begins_with_them() -> None:
    for text in ("kcl/tsc", "kcl(dim=64)/tsc(dim=64)", "ce/post_la/tsc", "iccl/tsc", "psc/crt/tsc", "ce/bn_stats/tsc",
                 "ce/bn_stats/maxnorm/tsc", "psc/iccl_rebalance(classifier=new)/tsc"):
        assert refused(text) is None, text


@pytest.mark.parametrize("name", ["tau_norm", "lws", "maxnorm", "disalign"])
def test_a_cosine_in_a_linear_layer_is_none(name: str) -> None:
    """Norms of weight vectors never counted there: a plain layer of the same weights would say something else."""
    assert refused(f"psc(normalize=true)/{name}") == (
        f"{name!r} must stand on a stage that leaves 'linear', got 'psc(normalize=true)', which leaves 'CosineSoftmax'")
    assert refused(f"psc/{name}") is None
    with scene.scratch() as folder:
        scene.Scene(REGISTRY).train("psc(normalize=true)/hyperspherical_psc", folder)


@pytest.mark.parametrize("name", ["manifold_mixup", "mixup"])
def test_what_runs_the_parts_of_a_backbone_needs_them(name: str) -> None:
    protocol = scene.PROTOCOL.replace(backbone=scene.TRANSFORMER)
    said = (refused(name, protocol), refused(f"lora+{name}"))
    assert said == ((None, None) if name == "mixup" else (
        "'manifold_mixup' must have a backbone with trunk, last_stage and pool, got 'conformance_transformer' without trunk",
        "'manifold_mixup' must have a backbone with trunk, last_stage and pool, got 'lora' without trunk"))


def test_a_width_is_compared_with_that_of_the_backbone() -> None:
    assert refused("bbn+dnc") == "'dnc' must have a backbone of width 64, got 128"
    assert refused("dnc") is None and refused("dnc+nc") is None
