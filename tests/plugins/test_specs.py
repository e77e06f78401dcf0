"""What every built-in method plugin keeps to: its specs, its imports, and that the core does not know it."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import ltbench
from ltbench.method import hyperparameters
from ltbench.method.stack import check
from ltbench.registry.specs import MethodSpec
from ltbench.terms.protocol import Protocol
from ltbench.terms.task import Task
from tests.support.methods import named

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = {
    "ltbench_baselines": {
        "ce", "focal", "cb", "rw", "rs", "drw", "drs", "ldam", "la", "post_la", "balanced_softmax", "mixup", "wd", "crt", "lws",
        "tau_norm", "maxnorm", "bbn", "disalign", "dro_lt", "dro_lt_public", "manifold_mixup", "mse", "ride", "tde", "oltr",
        "dnc"},
    "ltbench_prototype": {"prototype", "pc", "pc_cdt", "pc_la", "prototype_public"},
    "ltbench_ncm": {"ncm", "lncm", "lncm_la", "multi_ncm", "multi_ncm_la", "lncm_global", "lncm_local", "local_projection",
                    "bn_stats", "learning_curve"},
    "ltbench_experts": {"ncl", "sade", "shike", "shike_rebalance", "lfme_experts", "lfme", "cb_experts", "cb_calibration"},
    "ltbench_iccl": {"iccl", "iccl_rebalance"},
    "ltbench_mixing": {"remix", "cmo", "glmc", "m2m", "mislas"},
    "ltbench_nc": {"nc", "center_loss"},
    "ltbench_contrastive": {"bcl", "paco", "gpaco", "proco", "kcl", "fcl", "tsc"},
    "ltbench_hyperspherical": {"hyperspherical", "hyperspherical_psc", "psc", "etf", "hpn", "max_separation", "word2vec"},
    "ltbench_adaptation": {"linear_probe", "bitfit", "lora", "adaptformer", "vpt", "lift", "tte"},
    "ltbench_losses": {"vs", "cdt", "ib", "eql", "seesaw", "gcl", "arb", "reslt"},
}
PLUGINS = tuple(EXPECTED)
SPECS: list[MethodSpec] = [spec for plugin in PLUGINS for spec in importlib.import_module(f"{plugin}.plugin").ltbench_methods()]
LIBRARIES = {"ltbench", "torch", "numpy", "scipy", "sklearn", "torchvision", "timm", "matplotlib", "threadpoolctl",
             "safetensors", "huggingface_hub", "open_clip",
             *sys.stdlib_module_names}
FACTS = ltbench.Facts(torch.tensor([30, 8, 1]), feature_dim=4, epochs=5)


def test_all_are_there_and_no_name_is_taken_twice() -> None:
    names = [name for spec in SPECS for name in (spec.name, *spec.aliases)]
    assert {spec.name for spec in SPECS} == set().union(*EXPECTED.values())
    assert len(names) == len(set(names))
    assert [spec.name for spec in SPECS if spec.base] == ["ce"]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_spec_says_what_its_class_says(spec: MethodSpec) -> None:
    method = named(spec.name)
    assert issubclass(method, ltbench.Method)
    assert (method.name, method.stages) == (spec.name, spec.stages)
    assert method.__doc__ and importlib.import_module(method.__module__).__doc__
    explained = "\n".join(vars(kind)["__doc__"] for kind in method.__mro__[:method.__mro__.index(ltbench.Method)])
    for option in hyperparameters.declared(method):
        assert re.search(rf"^        {option}: ", explained, re.MULTILINE), f"{option} is not in the docstring"
    assert hyperparameters.resolve(method, {}) == {key: default for key, (_, default) in hyperparameters.declared(method).items()}
    built = hyperparameters.build(method, FACTS, hyperparameters.resolve(method, {}))
    check([type(built)], min(spec.stages))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_paper_settings_are_realizable(spec: MethodSpec) -> None:
    method: type[ltbench.Method] = named(spec.name)
    assert method.paper(Task("digits-lt", 20.0)) is None
    names = {name for other in SPECS for name in (other.name, *other.aliases)}
    for dataset in ("cifar10-lt", "cifar100-lt"):
        setting = method.paper(Task(dataset, 100.0))
        if setting is not None:
            Protocol("common", backbone="resnet32", epochs=200).replace(**setting.protocol)
            hyperparameters.resolve(method, setting.hyperparameters)
            assert set(setting.companions) <= names
            assert setting.stage1 is None or setting.stage1 in names


def test_paper_settings_by_the_papers() -> None:
    task = Task("cifar100-lt", 100.0)
    settings = {}
    for spec in SPECS:
        setting = named(spec.name).paper(task)
        if setting is not None:
            settings[spec.name] = setting
    on_wd = {"maxnorm", *EXPECTED["ltbench_prototype"]}
    on_lncm = {"multi_ncm", "multi_ncm_la"}
    on_ce = EXPECTED["ltbench_ncm"] - on_lncm - {"learning_curve"}
    contrastive, experts = {"bcl", "paco", "gpaco", "proco"}, {"ncl", "sade", "shike"}
    on_cifar = {"vs", "cdt", "ib", "gcl", "arb", "reslt", "max_separation", "cmo", "glmc"} | contrastive | experts
    first = on_cifar | {"drw", "drs", "ldam", "wd", "bbn", "ride", "tde", "iccl", "nc", "center_loss", "hyperspherical", "psc",
                        "etf"}
    on_others = {"iccl_rebalance": "iccl", "dro_lt_public": "ce", "shike_rebalance": "shike", "m2m": "ce", "mislas": "mixup"}
    assert set(settings) == on_wd | on_lncm | on_ce | first | on_others.keys()
    assert {name: setting.stage1 for name, setting in settings.items() if setting.stage1} == {
        **dict.fromkeys(on_wd, "wd"), **dict.fromkeys(on_lncm, "lncm"), **dict.fromkeys(on_ce, "ce"), **on_others}
    companions = {name: setting.companions for name, setting in settings.items() if setting.companions}
    assert companions == {"ride": ("ldam", "drw"), **dict.fromkeys(("nc", "center_loss", "gcl"), ("mixup",)),
                          **dict.fromkeys(("hyperspherical", "etf"), ("mixup",)), "psc": ("mixup", "rw")}
    for name in ("drw", "drs", "ldam"):  # x 0.01 at 160 and 180 of 200
        protocol = settings[name].protocol
        assert (protocol["weight_decay"], protocol["milestones"], protocol["gamma"]) == (2e-4, (0.8, 0.9), 0.01)
    assert settings["prototype"].protocol["augmentation"] == ("crop", "flip", "autoaugment", "cutout")


def test_listing_imports_no_torch() -> None:
    code = "import sys\n" + "".join(f"import {plugin}.plugin as p; list(p.ltbench_methods())\n" for plugin in PLUGINS)
    code += "print(sorted({'torch', 'numpy', 'sklearn'} & set(sys.modules)))"
    path = f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'plugins')]!r}\n"
    done = subprocess.run([sys.executable, "-c", path + code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def imported(file: Path) -> set[str]:
    """Return the modules and the names of the core that a file imports or reads."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name} must import absolutely"
            found |= {f"{node.module}:{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ltbench":
            found.add(f"ltbench:{node.attr}")
    return found


@pytest.mark.parametrize("file", sorted((ROOT / "plugins").rglob("*.py")), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_plugins_import_public_names_and_libraries_only(file: Path) -> None:
    own = file.relative_to(ROOT / "plugins").parts[0]
    for text in imported(file):
        module, _, name = text.partition(":")
        root = module.partition(".")[0]
        # A plugin may stand on another, as a stranger's may on these: what it imports is a package of its own.
        assert root in LIBRARIES | {own, *PLUGINS}, f"{file.name} imports {module}"
        if root == "ltbench":
            assert module == "ltbench", f"{file.name} reaches into {module}"
            assert not name or name in ltbench.__all__, f"ltbench.{name} is not public"


def spelled(file: Path) -> set[str]:
    """Return every word of a file's code: identifiers and strings, without comments and docstrings."""
    tree = ast.parse(file.read_text())
    docstrings = {id(node.body[0].value) for node in ast.walk(tree)
                  if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body
                  and isinstance(node.body[0], ast.Expr)}
    words: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            words |= set(re.findall(r"\w+", node.value))
        for field in ("id", "attr", "arg", "name"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                words |= set(re.findall(r"\w+", value))
    return words


def test_spelled_sees_code_and_no_comments(tmp_path: Path) -> None:
    file = tmp_path / "sample.py"
    file.write_text('"""A docstring of alpha."""\n# a comment on beta\nif name == "gamma": delta(epsilon=1)\n')
    assert spelled(file) == {"name", "gamma", "delta", "epsilon"}


@pytest.mark.parametrize("file", sorted((ROOT / "ltbench").rglob("*.py")), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_the_core_spells_no_method(file: Path) -> None:
    names = {spec.name for spec in SPECS if len(spec.name) > 3}  # shorter ones are words of other things
    assert spelled(file) & names == set()
