"""Presets: methods that are another one's class with other hyperparameters, of our plugins and of a stranger's."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import pytest

import ltbench
from ltbench.cli.main import main
from ltbench.errors import UserError
from ltbench.method import hyperparameters
from ltbench.method.stack import slots_of
from ltbench.planning.expression import resolve
from ltbench.registry.discovery import PluginInfo, Registry, load_registry
from ltbench.registry.presets import preset_class
from ltbench.registry.sources import source_hashes
from ltbench.registry.specs import MethodSpec
from tests.support.stages import facts

TARGET = "ltbench_baselines.focal:Focal"
BOTH = frozenset({1, 2})


def with_plugin(*specs: MethodSpec) -> Registry:
    """Return what is installed, with a stranger's specs."""
    class Plugin:
        @ltbench.hookimpl
        def ltbench_methods(self) -> Iterable[MethodSpec]:
            return specs

    registry = load_registry()
    registry.add(Plugin(), PluginInfo("stranger", "stranger", "1"))
    return registry


def test_a_stranger_declares_one_in_a_line() -> None:
    registry = with_plugin(MethodSpec("sharp", TARGET, "focal at 5", BOTH, fixed={"gamma": 5.0}),
                           MethodSpec("soft", TARGET, "focal, 1 to begin with", BOTH, defaults={"gamma": 1}))
    sharp, soft = (registry.methods.get(name).load() for name in ("sharp", "soft"))
    assert (sharp.name, soft.name, sharp.stages) == ("sharp", "soft", BOTH)
    assert hyperparameters.declared(sharp) == {} and sharp(facts([2, 1])).gamma == 5
    assert hyperparameters.resolve(soft, {}) == {"gamma": 1.0}
    assert (soft(facts([2, 1])).gamma, soft(facts([2, 1]), gamma=3.0).gamma) == (1, 3)
    assert hyperparameters.search_space(soft) == {"gamma": ltbench.Uniform(0.0, 5.0)} and not hyperparameters.search_space(sharp)
    with pytest.raises(TypeError, match="multiple values for keyword argument 'gamma'"):
        sharp(facts([2, 1]), gamma=2.0)


def test_it_is_a_method_of_its_own_name_with_its_class_source_and_slots() -> None:
    registry = with_plugin(MethodSpec("sharp", TARGET, "focal at 5", BOTH, fixed={"gamma": 5.0}))
    sharp, focal = registry.methods.get("sharp").load(), registry.methods.get("focal").load()
    assert registry.methods.get("sharp").load() is sharp and sharp is not focal and focal.name == "focal"
    assert (slots_of(sharp), source_hashes(sharp)) == (slots_of(focal), source_hashes(focal))
    assert str(resolve("drw+sharp", registry)) == "sharp+drw"
    soft = with_plugin(MethodSpec("soft", TARGET, "", BOTH, defaults={"gamma": 1}))
    assert str(resolve("soft(gamma=2)", soft)) == "soft(gamma=2.0)"
    with pytest.raises(UserError, match="'sharp' and 'focal' cannot stand in one stack: both own 'criterion'"):
        resolve("sharp+focal", registry)
    with pytest.raises(UserError, match="unknown hyperparameter of 'sharp' 'gamma'"):
        resolve("sharp(gamma=2)", registry)


@pytest.mark.parametrize(("options", "message"), [
    ({"fixed": {"gama": 5.0}}, r"preset 'sharp' must set hyperparameters of its class \(gamma\), got 'gama'"),
    ({"defaults": {"facts": 5.0}}, r"preset 'sharp' must set hyperparameters of its class \(gamma\), got 'facts'"),
])
def test_refuses_what_is_no_hyperparameter(options: dict[str, Any], message: str) -> None:
    registry = with_plugin(MethodSpec("sharp", TARGET, "focal", BOTH, **options))
    with pytest.raises(UserError, match=message):
        registry.methods.get("sharp").load()


def test_refuses_one_hyperparameter_fixed_and_free() -> None:
    with pytest.raises(ValueError, match="MethodSpec.defaults must be of what is not fixed, got gamma"):
        MethodSpec("sharp", TARGET, "", BOTH, fixed={"gamma": 5.0}, defaults={"gamma": 1.0})


def test_a_value_outside_its_range_is_refused_by_name() -> None:
    kind = preset_class(load_registry().methods.get("focal").load(), MethodSpec("odd", TARGET, "", BOTH, fixed={"gamma": -1.0}))
    with pytest.raises(UserError, match="method 'odd': gamma must be >= 0, got -1.0"):
        hyperparameters.build(kind, facts([2, 1]), {})


def test_our_presets_show_what_they_fix(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "pc"]) == 0
    told = capsys.readouterr().out
    assert "PrototypeClassifier with cdt=false, temperature_lr=0.005, temperature_weight_decay=0.0, tau=0.0" in told
    assert main(["methods", "lncm_la", "--json"]) == 0
    rows = {row["hyperparameter"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["tau"]["default"], rows["tau"]["range"], rows["inputs"]["range"]) == ("0.125", ">= 0", None)
    assert main(["methods", "balanced_softmax"]) == 0
    assert "no hyperparameters" in capsys.readouterr().out


def test_the_kit_checks_a_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    from ltbench.testing.kit import run_check

    module = ModuleType("stranger_presets")
    module.ltbench_methods = ltbench.hookimpl(lambda: [  # type: ignore[attr-defined]
        MethodSpec("sharp", TARGET, "focal at 5", BOTH, "Lin et al., 2017", fixed={"gamma": 5.0}),
        MethodSpec("lost", TARGET, "focal at 5", BOTH, "Lin et al., 2017", fixed={"gama": 5.0})])
    monkeypatch.setitem(sys.modules, "stranger_presets", module)
    assert run_check("spec", "sharp", plugins=("stranger_presets",)).ok
    found = run_check("spec", "lost", plugins=("stranger_presets",))
    assert not found.ok and "preset 'lost' must set hyperparameters of its class (gamma), got 'gama'" in found.message
