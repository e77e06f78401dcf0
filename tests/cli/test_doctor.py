from __future__ import annotations

import argparse
import importlib.metadata
import json
from pathlib import Path

import pytest

from ltbench.cli import doctor, inspection
from ltbench.registry.catalog import Registered
from ltbench.registry.discovery import PluginInfo, Registry
from ltbench.registry.specs import DatasetSpec

VERSIONS = {"torch": importlib.metadata.version("torch"), "torchvision": importlib.metadata.version("torchvision")}

DATASETS = """
from ltbench.data.digits import DigitsLT
from ltbench.errors import UserError

class Found:
    def load(self, root, *, download):
        assert not download
        return DigitsLT().load(root)

class Absent:
    def load(self, root, *, download):
        raise UserError(f"nothing in {root}")

class Broken:
    def load(self, root, *, download):
        raise KeyError("meta")
"""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    (tmp_path / "doctor_datasets.py").write_text(DATASETS)
    monkeypatch.syspath_prepend(tmp_path)
    return Registry()


def offer(registry: Registry, name: str, kind: str, source: str = "local") -> None:
    spec = DatasetSpec(name, f"doctor_datasets:{kind}", "for this test", 2, source=source)
    registry.datasets.add(Registered(spec, "test", "test", "0"))


def fake_package(folder: Path, name: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.mark.slow
def test_the_installed_pair_fits() -> None:
    state, problems = inspection.torch_state(VERSIONS)
    assert problems == [] and state["problem"] is None and state["torchvision_problem"] is None


@pytest.mark.slow
def test_a_torchvision_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "raise RuntimeError('operator torchvision::nms does not exist\\nmore lines')"
    fake_package(tmp_path, "torchvision", code, monkeypatch)
    state, problems = inspection.torch_state(VERSIONS)
    assert state["problem"] is None
    assert len(problems) == 1 and "\n" not in problems[0]
    assert problems[0].startswith(f"torchvision {VERSIONS['torchvision']} (needs torch")
    assert f") does not fit torch {VERSIONS['torch']} (RuntimeError: operator torchvision::nms does not exist)" in problems[0]
    assert problems[0].endswith("pip install --upgrade torch torchvision")


@pytest.mark.parametrize(("code", "said"), [
    ("raise ImportError('libcudart.so.13: cannot open shared object file')", "ImportError: libcudart.so.13"),
    ("import os; os._exit(7)", "the process that imported it ended with code 7"),
])
def test_a_torch_that_cannot_be_imported(code: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_package(tmp_path, "torch", code, monkeypatch)
    _, problems = inspection.torch_state(VERSIONS)
    assert len(problems) == 1 and said in problems[0] and "pip install --upgrade torch torchvision" in problems[0]


def test_what_is_missing_is_named_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(inspection, "PACKAGES", ("numpy", "torchvision", "no-such-package"))
    versions, problems = inspection.packages()
    assert versions["no-such-package"] is None and versions["numpy"] == importlib.metadata.version("numpy")
    assert problems == ["no-such-package is not installed: pip install no-such-package"]
    fake_package(tmp_path, "torch", "raise ModuleNotFoundError('No module named torch')", monkeypatch)
    assert inspection.torch_state({**VERSIONS, "torch": None})[1] == []  # packages() says it already


def test_data_is_looked_for(registry: Registry, tmp_path: Path) -> None:
    offer(registry, "one", "Found")
    offer(registry, "two", "Absent")
    offer(registry, "three", "Absent", "embedded")
    offer(registry, "four", "Broken")
    offer(registry, "five:", "Broken")  # a family is looked for once somebody names a member
    report, problems = inspection.data(registry, str(tmp_path), readable=True)
    assert report["root"] == str(tmp_path)
    assert report["datasets"] == {"one": "found", "two": f"nothing in {tmp_path}", "three": f"nothing in {tmp_path}",
                                  "four": "broken: KeyError: 'meta'"}
    # Data that nobody put there is no fault; data that ships with a library is always there.
    assert problems == ["dataset four is broken: KeyError: 'meta'", f"dataset three: nothing in {tmp_path}"]
    report, problems = inspection.data(registry, str(tmp_path / "gone"), readable=False)
    assert set(report["datasets"].values()) == {"not tried"}
    assert problems == [f"the data folder {tmp_path / 'gone'} does not exist"]


def test_the_cache_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    assert inspection.cache() == ({"folder": str(tmp_path / "cache"), "bytes": 0, "limit": 20 * 10**9}, [])
    (tmp_path / "cache" / "a").mkdir(parents=True)
    (tmp_path / "cache" / "a" / "x").write_bytes(bytes(1000))
    (tmp_path / "cache" / "y").write_bytes(bytes(24))
    monkeypatch.setenv("LTBENCH_CACHE_LIMIT", "5M")
    assert inspection.cache()[0] == {"folder": str(tmp_path / "cache"), "bytes": 1024, "limit": 5_000_000}
    monkeypatch.setenv("LTBENCH_CACHE_LIMIT", "lots")
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache" / "y" / "z"))
    _, problems = inspection.cache()
    assert [problem.split()[0] for problem in problems] == ["LTBENCH_CACHE_LIMIT:", "the"] and "cannot be written" in problems[1]


def test_the_verb(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    doctor.register(parser.add_subparsers())
    fine = {"problem": None, "torchvision_problem": None, "devices": [{"kind": "cuda", "name": "H", "memory": 139 * 10**9}]}
    monkeypatch.setattr(inspection, "torch_state", lambda _: (fine, []))
    monkeypatch.setattr(inspection, "PACKAGES", ("numpy",))
    monkeypatch.delenv("LTBENCH_DATA", raising=False)
    offer(registry, "one", "Found")

    args = parser.parse_args(["doctor"], argparse.Namespace(registry=registry))
    assert args.run(args) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("compiler    ") for line in lines)
    assert lines[-1] == "all is well" and "device      cuda H (139 GB)" in lines and "            one: found" in lines

    monkeypatch.setenv("CXX", "no-such-compiler")
    assert args.run(args) == 0  # nothing but --compile needs one
    said = "compiler    there is no C++ compiler 'no-such-compiler'; install one, or name one in CXX (only --compile needs it)"
    assert said in capsys.readouterr().out.splitlines()

    registry.fail(PluginInfo("bad", "stranger", "1.0"), ImportError("no module named x"))
    args = parser.parse_args(["doctor", "--json", "--data-root", str(tmp_path)], argparse.Namespace(registry=registry))
    assert args.run(args) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["problems"] == ["plugin 'bad' of stranger: ImportError: no module named x"]
    assert report["plugins"][0]["error"] and report["data"]["root"] == str(tmp_path)
