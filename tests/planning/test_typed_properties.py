"""Whatever is typed as expression, option, ratio or seed is understood or refused in one line, and stays the same read again."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import strategies as st

import ltbench
from ltbench.data.naming import open_dataset, split_datasets
from ltbench.method import hyperparameters
from ltbench.method.contract import Method
from ltbench.planning.expression import Expression, parse, parse_settings, resolve, split_list
from ltbench.planning.request import BY_HAND, How, Terms, What, parse_seeds
from ltbench.planning.shards import parse_shard
from ltbench.registry.discovery import load_registry
from ltbench.terms.task import Task, parse_ratio
from tests.support.properties import ATOMS, FLOATS, NUMBERS, TEXTS, VALUES, amounts, answered, holds
from tests.support.toys import toy_registry

TOYS = toy_registry()
REGISTRY = load_registry(strict=False)
SHIPPED: dict[str, type[Method]] = {name: REGISTRY.methods.get(name).load() for name in REGISTRY.methods}
OPTIONS = sorted(f"{method}.{name}" for method, kind in SHIPPED.items() for name in hyperparameters.declared(kind))


def _written(names: list[str], options: dict[str, list[str]]) -> st.SearchStrategy[str]:
    """Return texts that look like expressions: names, and options of theirs, joined by + and /."""
    words = st.sampled_from("0 1 0.5 1e-3 none true False [1,2] [] inf 1_0 plain [a,b]".split()) | TEXTS

    def typed(name: str) -> st.SearchStrategy[str]:
        keys = st.sampled_from(options[name]) if options[name] else st.just("x")
        pairs = st.lists(st.tuples(keys, words).map("=".join), max_size=2, unique_by=lambda pair: pair.partition("=")[0])
        return pairs.map(lambda found: f"{name}({','.join(found)})" if found else name)

    methods = st.sampled_from(names).flatmap(typed)
    return st.lists(st.lists(methods, min_size=1, max_size=3).map("+".join), min_size=1, max_size=3).map("/".join)


@amounts(100)
def test_any_text_is_an_expression_or_refused(examples: int | None) -> None:
    def check(text: str) -> None:
        nodes = answered(lambda: parse(text))
        if nodes is not None:
            stages = (("+".join(f"{node.name}({','.join(map('='.join, node.options))})" for node in stage)) for stage in nodes)
            assert parse("/".join(stages)) == nodes
        parts = answered(lambda: split_list(text))
        assert parts is None or split_list(",".join(parts)) == parts

    holds(examples, check, share=1 / 3, text=TEXTS)


def _stays(expression: Expression | None, registry: Any) -> None:
    """The canonical form of a canonical form is itself, and has every hyperparameter of the first."""
    if expression is not None:
        again = resolve(str(expression), registry)
        assert str(again) == str(expression) and again.hash == expression.hash
        assert str(expression).isprintable()


@amounts(40)
def test_the_canonical_form_of_toys_stays(examples: int | None) -> None:
    names = list(TOYS.methods)
    options = {name: list(hyperparameters.declared(TOYS.methods.get(name).load())) for name in names}
    holds(examples, lambda text: _stays(answered(lambda: resolve(text, TOYS)), TOYS), share=1 / 3,
          text=_written(names, options))


@amounts(20)
def test_the_canonical_form_of_what_comes_with_ltbench_stays(examples: int | None) -> None:
    options = {name: list(hyperparameters.declared(method)) for name, method in SHIPPED.items()}
    written = _written(list(SHIPPED), options)
    holds(examples, lambda text: _stays(answered(lambda: resolve(text, REGISTRY)), REGISTRY), share=1 / 3, text=written)


class Kinds(ltbench.Method):
    """Have a hyperparameter of every kind."""

    name = "kinds"

    def __init__(self, facts: ltbench.Facts, *, real: float = 0.5, whole: int = 3, flag: bool = False, word: str = "a",
                 mode: Literal["hard", "soft"] = "hard", maybe: float | None = None, named: str | None = None,
                 reals: tuple[float, ...] = (1.0, 2.0), words: tuple[str, ...] = ()) -> None:
        super().__init__(facts)


@amounts(100)
def test_a_value_of_any_type_is_converted_or_refused(examples: int | None) -> None:
    def check(name: str, value: Any) -> None:
        found = answered(lambda: hyperparameters.resolve(Kinds, {name: value}))
        if found is not None:
            text = hyperparameters.format_value(found[name])
            (((node,),),) = [parse(f"kinds({name}={text},flag=true)" if name != "flag" else f"kinds(flag={text})")]
            assert hyperparameters.resolve(Kinds, dict(node.options)) == {**found, **({} if name == "flag" else {"flag": True})}

    words = st.lists(TEXTS, max_size=3) | TEXTS.map(lambda text: f"[{text}]") | st.sampled_from(["none", "None", "a,b", "(a,b)"])
    holds(examples, check, share=1 / 2, name=st.sampled_from(sorted(hyperparameters.declared(Kinds))), value=VALUES | words)


@amounts(60)
def test_any_setting_is_understood_or_refused(examples: int | None) -> None:
    def check(name: str, value: str) -> None:
        for items in ([f"{name}={value}"], [value], [f"{value}.{name}=1"]):
            settings = answered(lambda items=items: parse_settings(items, REGISTRY))
            if settings is not None:
                (method,) = settings
                answered(lambda method=method, settings=settings: hyperparameters.resolve(SHIPPED[method], settings[method]))

    holds(examples, check, share=1 / 2, name=st.sampled_from(OPTIONS), value=TEXTS)


@amounts(100)
def test_any_ratio_is_a_number_of_at_least_one_or_refused(examples: int | None) -> None:
    def check(ratio: Any) -> None:
        found = answered(lambda: parse_ratio(ratio, "digits-lt"))
        assert found is None or (1 <= found < math.inf and parse_ratio(str(found), "x") == found)
        if isinstance(ratio, str):
            opened = answered(lambda: open_dataset(f"digits-lt@{ratio}", REGISTRY))
            assert opened is None or opened[1] == found
            if found is not None:
                assert re.fullmatch(r"digits-lt@[0-9.e+]+", str(Task("digits-lt", found)))

    holds(examples, check, share=1 / 2, ratio=NUMBERS | TEXTS | FLOATS.map(str))


@amounts(60)
def test_any_dataset_is_opened_or_refused(examples: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path.joinpath(*"abcdef")
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)  # "hf:." and "folder:.." are read with all that is there, which elsewhere took minutes

    def check(family: str, text: str) -> None:
        answered(lambda: split_datasets(text))
        answered(lambda: open_dataset(family + text, REGISTRY))

    families = ["", "folder:", "list:", "tar:", "csv:", "parquet:", "hf:", "tv:", "cifar10-lt@"]
    within = TEXTS.filter(lambda text: not text.startswith(("/", "~")))
    holds(examples, check, share=1 / 2, family=st.sampled_from(families), text=within)


@amounts(60)
def test_any_request_can_be_made_or_refused(examples: int | None) -> None:
    def check(text: str, value: Any, field: str) -> None:
        seeds = answered(lambda: parse_seeds(text, "--seeds"))
        if seeds is not None:
            answered(lambda: What(seeds=seeds))
        answered(lambda: parse_shard(text))
        terms = answered(lambda: Terms(by_hand={field: value}))
        assert terms is None or Terms(by_hand=terms.by_hand) == terms
        for name in ("test_noise", "measure_every", "precision", "track"):
            answered(lambda name=name: Terms(**{name: value}))
        for name in ("accumulation", "jobs", "threads", "keep", "unreadable"):
            answered(lambda name=name: How(**{name: value}))

    holds(examples, check, text=TEXTS, value=ATOMS, field=st.sampled_from(sorted(BY_HAND)))
