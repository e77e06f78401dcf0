from __future__ import annotations

import importlib
import inspect
import shlex
from pathlib import Path
from typing import Any

import pytest

from ltbench.cli.main import build_parser
from ltbench.cli.run.options import request_of
from ltbench.method import hyperparameters
from ltbench.planning.matrix import plan_matrix
from ltbench.registry.discovery import load_registry
from ltbench_analysis.listing import FIGURES
from ltbench_analysis.papers import PAPERS

README = Path(inspect.getfile(importlib.import_module("ltbench_analysis"))).with_name("README.md")
COMMANDS = sorted({command for figure in FIGURES.values() for command in figure.runs})


def test_every_figure_of_the_papers_is_there() -> None:
    wanted = {"prototype": "2 3", "learned-ncm": "1 2 3 4 5 6 7 8", "iccl": "2 3 4", "nc": "2 3",
              "hyperspherical": "2 3 3a 3b 3c 3d 4 4a 4b"}
    names = {f"{paper}.{number}" for paper, numbers in wanted.items() for number in numbers.split()}
    assert set(FIGURES) == names | {"neural-collapse", "iccl-centroids"}
    assert {figure.paper for figure in FIGURES.values()} == set(PAPERS)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_leads_to_a_function(name: str) -> None:
    module, _, function = FIGURES[name].target.partition(":")
    builder = getattr(importlib.import_module(f"ltbench_analysis.figures.{module}"), function)
    assert list(inspect.signature(builder).parameters) == ["runs"]
    number = name.partition(".")[2]
    assert FIGURES[name].source.endswith(f"figure {number}") or not number


@pytest.fixture(scope="module")
def registry() -> Any:
    return load_registry()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_understood(command: str, registry: Any) -> None:
    args = build_parser(registry).parse_args(shlex.split(command)[1:])
    stages = [method for expression in args.methods.split(",") for stage in expression.split("/") for method in stage.split("+")]
    methods = {name: registry.methods.get(name).load() for name in stages}
    for setting in args.set or ():
        key, _, value = setting.partition("=")
        method, _, option = key.partition(".")
        assert option in hyperparameters.declared(methods[method]), f"{method} has no {option}"
        assert value


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_on_the_terms_of_a_paper(command: str, registry: Any) -> None:
    args = build_parser(registry).parse_args([*shlex.split(command)[1:], "--seeds", "0"])
    plans = plan_matrix(request_of(args), args.registry).plans
    assert plans and {plan.task.track for plan in plans} == {"paper"}


def test_the_card_names_every_figure_and_how_it_is_made() -> None:
    text = README.read_text()
    for figure in FIGURES.values():
        assert f"`{figure.name}`" in text, figure.name
        for command in figure.runs[:1]:
            assert command in text, command
