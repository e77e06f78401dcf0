from __future__ import annotations

import importlib.metadata
import types
from collections.abc import Iterable

import pytest

import ltbench
from ltbench.errors import UserError
from ltbench.registry.discovery import PluginInfo, Registry, load_registry
from tests.support.toys import toy_registry


def spec(name: str, **options: object) -> ltbench.MethodSpec:
    return ltbench.MethodSpec(name, "tests.support.toys:Base", "x", frozenset({1}), **options)  # type: ignore[arg-type]


def plugin(*specs: ltbench.MethodSpec) -> types.SimpleNamespace:
    @ltbench.hookimpl
    def ltbench_methods() -> Iterable[ltbench.MethodSpec]:
        return specs

    return types.SimpleNamespace(ltbench_methods=ltbench_methods)


def registry(*plugins: tuple[str, object]) -> Registry:
    found = Registry()
    for name, content in plugins:
        found.add(content, PluginInfo(name, f"dist-{name}", "1"))
    return found


def test_a_contested_name_belongs_to_nobody() -> None:
    found = registry(("one", plugin(spec("same"), spec("mine"))), ("two", plugin(spec("same"), spec("yours"))))
    assert list(found.methods) == ["mine", "yours"]
    with pytest.raises(UserError, match="offered by both dist-one .* and dist-two"):
        found.methods.get("same")
    assert "same" in found.problems[0]


def test_an_alias_cannot_take_a_name() -> None:
    found = registry(("one", plugin(spec("same"))), ("two", plugin(spec("other", aliases=("same",)))))
    with pytest.raises(UserError, match="offered by both"):
        found.methods.get("same")


def test_a_third_claim_is_refused_too() -> None:
    found = registry(*((name, plugin(spec("same"))) for name in ("one", "two", "three")))
    assert list(found.methods) == []
    assert len(found.problems) == 2


def test_a_misspelt_hook_is_caught_and_the_rest_works() -> None:
    @ltbench.hookimpl
    def ltbench_method() -> list[ltbench.MethodSpec]:
        return []

    found = registry(("wrong", types.SimpleNamespace(ltbench_method=ltbench_method)), ("right", plugin(spec("mine"))))
    assert "ltbench_method" in str(found.plugins[0].error)
    assert list(found.methods) == ["mine"]


def test_a_hook_that_returns_something_else_is_named() -> None:
    @ltbench.hookimpl
    def ltbench_methods() -> list[str]:
        return ["name"]

    found = registry(("wrong", types.SimpleNamespace(ltbench_methods=ltbench_methods)))
    assert "must return MethodSpec objects, got str" in str(found.plugins[0].error)


def entry(name: str, value: str) -> importlib.metadata.EntryPoint:
    return importlib.metadata.EntryPoint(name, value, "ltbench")


def test_a_broken_import_is_listed_and_strict_mode_refuses_it() -> None:
    entries = [entry("broken", "no_such_module_anywhere"), entry("toys", "tests.support.toys:Plugin")]
    found = load_registry(entry_points=lambda: entries, strict=False)
    assert "No module named 'no_such_module_anywhere'" in str(found.plugins[0].error)
    with pytest.raises(UserError, match="strict mode: plugin 'broken'"):
        load_registry(entry_points=lambda: entries, strict=True)
    assert load_registry(["broken"], entry_points=lambda: entries[:1], strict=True).plugins[0].disabled


def test_environment_disables_and_makes_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [entry("broken", "no_such_module_anywhere")]
    monkeypatch.setenv("LTBENCH_STRICT", "1")
    with pytest.raises(UserError):
        load_registry(entry_points=lambda: entries)
    monkeypatch.setenv("LTBENCH_DISABLE_PLUGINS", "broken, other")
    assert load_registry(entry_points=lambda: entries).plugins[0].disabled


def test_leaving_out_what_is_not_there_is_a_mistake() -> None:
    with pytest.raises(UserError, match="unknown plugin 'brokn'; did you mean 'broken'"):
        load_registry(["brokn"], entry_points=lambda: [entry("broken", "x")], strict=False)


def test_a_target_that_cannot_be_imported_names_its_distribution() -> None:
    bad = ltbench.MethodSpec("bad", "no_such_module_anywhere:Method", "x", frozenset({1}))
    with pytest.raises(UserError, match="'bad' of dist-one cannot be imported: ModuleNotFoundError"):
        registry(("one", plugin(bad))).methods.get("bad").load()


def test_there_is_one_base() -> None:
    assert toy_registry().base_method == "base"
    with pytest.raises(UserError, match="exactly one installed method must be the base"):
        _ = registry(("one", plugin(spec("mine")))).base_method


@pytest.mark.parametrize("name", ["", "Upper", "with-hyphen", "1digit", "a b"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(ValueError, match=r"MethodSpec\.name must match"):
        spec(name)


def test_stages_are_first_or_later() -> None:
    with pytest.raises(ValueError, match="stages must be a part of"):
        ltbench.MethodSpec("x", "a:b", "x", frozenset({3}))


def test_a_plugin_whose_commands_fail_is_noted_and_the_others_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from ltbench.cli import plugin as verbs
    from ltbench.cli.main import build_parser

    @ltbench.hookimpl
    def ltbench_commands(commands: object) -> None:
        raise SystemExit("boom")

    found = registry(("verbs", verbs), ("wrong", types.SimpleNamespace(ltbench_commands=ltbench_commands)))
    assert build_parser(found).parse_args(["methods"]).json is False
    assert "its commands are left out: SystemExit: boom" in str(found.plugins[1].error)
    monkeypatch.setenv("LTBENCH_STRICT", "1")
    with pytest.raises(UserError, match="strict mode: plugin 'wrong'"):
        build_parser(found)


def test_one_module_under_two_names_is_noted() -> None:
    both = plugin(spec("mine"))
    found = registry(("one", both), ("two", both))
    assert found.plugins[0].error is None and found.plugins[1].error is not None


def test_whoever_loses_a_name_loses_its_aliases() -> None:
    found = registry(("one", plugin(spec("same", aliases=("short",)))), ("two", plugin(spec("same"))))
    for name in ("same", "short"):
        with pytest.raises(UserError, match="offered by both dist-one .* and dist-two"):
            found.methods.get(name)
