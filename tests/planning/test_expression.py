from __future__ import annotations

import pytest

from ltbench.errors import UserError
from ltbench.planning.expression import Node, check_settings, parse, parse_settings, resolve, split_list
from tests.support.toys import toy_registry


def test_parse_reads_stages_methods_and_options() -> None:
    assert parse("a+b(x=1, y=[1,2])/c") == [[Node("a"), Node("b", (("x", "1"), ("y", "[1,2]")))], [Node("c")]]


def test_split_list_leaves_commas_inside_parentheses() -> None:
    assert split_list("a(x=1,y=2),b/c(z=[1,2])") == ["a(x=1,y=2)", "b/c(z=[1,2])"]


@pytest.mark.parametrize("text", ["", "a+", "/a", "a(x=1", "a)x(", "a(x)", "a b", "a,,b(", "1a"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        parse(text)


@pytest.mark.parametrize(("typed", "canonical"), [
    ("base", "base"),
    ("base+weights", "weights"),  # the base method says nothing beside others
    ("weights+margin", "margin+weights"),  # who owns the criterion comes first
    ("soft_margin", "margin"),  # an alias
    ("retrain", "base/retrain"),  # a second-stage name alone stands on the base
    ("margin(margin=0.5)", "margin"),  # a default says nothing
    ("margin(steps=4,margin=1)", "margin(margin=1.0,steps=4)"),
    ("margin(clip=none,scales=[1,3])", "margin(scales=[1.0,3.0])"),
    ("margin(scales=[])", "margin(scales=[])"),
    ("margin(words=[a, b])", "margin(words=[a,b])"),
    ("tuned+shift/retrain+shift(tau=2)", "tuned+shift/retrain+shift(tau=2.0)"),
])
def test_canonical_form(typed: str, canonical: str) -> None:
    registry = toy_registry()
    expression = resolve(typed, registry)
    assert str(expression) == canonical
    again = resolve(canonical, registry)
    assert str(again) == canonical
    assert again.hash == expression.hash


def test_hash_sees_hyperparameters() -> None:
    registry = toy_registry()
    assert resolve("margin", registry).hash != resolve("margin(steps=4)", registry).hash


@pytest.mark.parametrize(("text", "message"), [
    ("margn", "unknown method 'margn'; did you mean 'margin'? Known: base"),
    ("margin+other_loss", "'margin' and 'other_loss' cannot stand in one stack: both own 'criterion'"),
    ("margin+margin", "'margin' stands twice"),
    ("base/margin", "'margin' fits the first stage only, got it in stage 2"),
    ("margin/base/retrain+drift/weights", "'weights' fits the first stage only, got it in stage 4"),
    ("margin(margn=1)", "unknown hyperparameter of 'margin' 'margn'; did you mean 'margin'?"),
    ("margin(margin=x)", "margin.margin must be a finite number, got 'x'"),
    ("margin(steps=1.5)", "margin.steps must be an integer, got '1.5'"),
    ("margin(margin=nan)", "margin.margin must be a finite number, got 'nan'"),
    ("margin(mode=mild)", "margin.mode must be one of hard, soft, got 'mild'"),
    ("margin(smooth=2)", "margin.smooth must be true or false, got '2'"),
    ("margin(clip=x)", "margin.clip must be a finite number or none, got 'x'"),
    ("margin(scales=3)", "margin.scales must be a list such as [a,b], each a finite number, got '3'"),
])
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve(text, toy_registry())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_apply_where_an_expression_says_nothing() -> None:
    registry = toy_registry()
    settings = parse_settings(["soft_margin.margin=2"], registry)
    assert str(resolve("margin", registry, settings)) == "margin(margin=2.0)"
    assert str(resolve("margin(margin=3)", registry, settings)) == "margin(margin=3.0)"


@pytest.mark.parametrize(("item", "message"), [
    ("margin", "--set must be name.key=value"),
    ("margin.=1", "--set must be name.key=value"),
    ("shift.tau=1", "unknown method of this run in --set 'shift'"),
    ("shfit.tau=1", "did you mean 'shift'?"),
])
def test_a_setting_of_nothing_that_runs_is_a_mistake(item: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("?", r"\?").replace(".", r"\.")):
        registry = toy_registry()
        check_settings(parse_settings([item], registry), [resolve("margin", registry)])


def test_a_setting_may_be_of_a_stage_that_was_not_typed() -> None:
    registry = toy_registry()
    settings = parse_settings(["under.scale=2"], registry)
    expression = resolve("third", registry, settings)
    check_settings(settings, [expression])
    assert str(expression) == "base/under(scale=2.0)/third"


def test_methods_that_stand_on_different_stages_need_the_stage_typed() -> None:
    registry = toy_registry()
    with pytest.raises(UserError, match="must stand on the same stage, got 'third' on under and 'other_third' on base"):
        resolve("third+other_third", registry)
    assert str(resolve("base/third+other_third", registry)) == "base/other_third+third"
