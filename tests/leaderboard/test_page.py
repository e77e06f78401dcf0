"""The page as text; ``test_page_chromium.py`` opens it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pytest

from ltbench.leaderboard.page import embed, render_page
from ltbench.leaderboard.page.printed import telling
from ltbench.leaderboard.ranking import NOT_COMPARED, TIED, WORSE
from ltbench.leaderboard.tables import Heading
from tests.support.page_factory import HOSTILE, board, claim, large, page, parts, row, table

ADDRESS_ATTRIBUTES = {"src", "href", "srcset", "action", "data", "poster", "formaction"}


class Reader(HTMLParser):
    """Collect what a page holds: elements with their attributes, and the text of each element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "wbr"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag  # well nested: nothing that a row says opens or closes an element

    def handle_data(self, data: str) -> None:
        self.texts.append((self.inside[-1] if self.inside else "", data))

    def of(self, tag: str) -> list[str]:
        return [text for inside, text in self.texts if inside == tag and text.strip()]


def small(**changes: Any) -> dict[str, Any]:
    return board([table([row(0, **changes), row(1)])])


def embedded(text: str) -> Any:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)
    return json.loads(found)


def test_the_page_needs_nothing_from_anywhere() -> None:
    read = Reader(page(small()))
    addresses = [value for _, attributes in read.elements for name, value in attributes.items() if name in ADDRESS_ATTRIBUTES]
    assert sorted(address or "" for address in addresses) == ["#rows", "board.csv", "board.json", "board.tex"]
    assert not [tag for tag, _ in read.elements if tag in ("link", "iframe", "object", "embed", "base", "img")]
    styles = "".join(read.of("style"))
    assert "@import" not in styles and not re.search(r"url\((?![\"']?data:)", styles)
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on") or name == "style"]


def test_the_policy_allows_what_stands_in_the_page_and_no_more() -> None:
    read = Reader(page(small()))
    (policy,) = (attributes["content"] for tag, attributes in read.elements if attributes.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    allowed = dict(part.split(" ", 1) for part in policy.split("; ") if " " in part)

    def source(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    _, *scripts = read.of("script")  # the first is data
    assert len(scripts) == 2 and allowed["script-src"].split() == [source(script) for script in scripts]
    assert allowed["style-src"] == source(*read.of("style"))


def test_200_methods_on_three_datasets_are_under_3_mb() -> None:
    assert len(page(large()).encode()) < 3_000_000


def test_the_same_content_gives_the_same_bytes_whatever_the_order_of_its_fields() -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: turned(value[name]) for name in reversed(value)}
        return [turned(item) for item in value] if isinstance(value, list) else value

    content, headings = parts(small())
    first = render_page(content, headings)
    assert first == render_page(turned(content), headings) == render_page(json.loads(json.dumps(content)), headings)


@pytest.mark.parametrize("text", [
    HOSTILE, "</script><img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "{{ 7 * 7 }}{% for x in y %}", "<!-- <script>",
    "a\u2028b\u2029c", "javascript:alert(1)", "'&amp;", "\ud800", "\u202eecod", "a\x00b\x1b[31m",
])
def test_what_a_record_says_is_text(text: str) -> None:
    given = row(0, method=text, overrides={text: text}, external=text, command=text,
                stages=[{"expression": text, "inputs": text, "overrides": {text: text},
                         "methods": [{"name": text, "hyperparameters": {text: text}, "about": text}]}],
                made_by={name: [text] for name in ("commits", "ltbench", "plugins", "devices", "selection", "tuning")},
                seconds_by_phase={text: 1.0}, peak_memory_bytes={text: 1})
    hostile = table([given], heading=Heading(text, "common", text), not_ranked=text,
                    reported=[[claim() | {"source": text, "table": text, "row": text, "reason": text}]])
    written = page(board([hostile], name=text, title=text))
    written.encode()
    read, plain = Reader(written), Reader(page(board([table([row(0, external="x")], not_ranked="x")])))
    assert [tag for tag, _ in read.elements if tag != "wbr"] == [tag for tag, _ in plain.elements if tag != "wbr"]
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    assert embedded(written)[0]["rows"][0]["method"] == shown
    (data,) = read.of("script")[:1]
    assert not set(data) & set("<>&\u2028\u2029")


def test_embedded_json_reads_back_and_holds_no_end_of_a_script() -> None:
    value = {"a": ["</script>", "<!--", "\u2028", "&", 1.5, None]}
    assert json.loads(embed(value)) == value
    assert embed(value) == '{"a":["\\u003c/script\\u003e","\\u003c!--","\\u2028","\\u0026",1.5,null]}'


def cells_of(text: str, place: int = 0) -> list[str]:
    found = re.findall(r'<tr data-row="\d+".*?</tr>', text, re.DOTALL)[place]
    cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", found, re.DOTALL)
    return [re.sub(r"<[^>]*>", "", cell).strip() for cell in cells]


def test_a_row_in_full() -> None:
    assert cells_of(page(small())) == [
        "1", "ce/method_0(strength=0.0) ≈", "60.0 ± 0.5", "80.0 ± 0.5", "50.0 ± 0.5", "20.0 ± 0.5", "5.0 ± 0.5", "17.1 ± 0.5",
        "0.100 ± 0.500", "70.0 ± 0.5", "30.0 ± 0.5", "3", "59.0", "+1.0", "not comparable", "0.46", "1.00", "1000.0", "2048"]


def test_an_empty_figure_is_a_dash_and_never_zero() -> None:
    empty = {"mean": None, "ci95": None, "runs": 0}
    nothing = row(0, metrics={"accuracy.all": empty}, seconds=empty, peak_memory_bytes={"cuda": None}, rank=None,
                  cost=None)
    text = page(board([table([nothing])]))
    assert cells_of(text)[2:9] == ["—"] * 7 and cells_of(text)[-2:] == ["—", "—"]
    (data,) = embedded(text)
    assert data["rows"][0]["values"] == {} and data["rows"][0]["memory"] == {"cuda": None}


def test_one_seed_has_no_interval_and_says_so() -> None:
    cells = cells_of(page(board([table([row(0, seeds=1)])])))
    assert "1 no interval" in cells and "±" not in "".join(cells)


def test_tables_of_unequal_terms_stand_apart_and_unranked_ones_say_why() -> None:
    text = page(board([table([row(0)]), table([row(0, rank=None)], track="paper", not_ranked="custom protocol")]))
    assert text.count("<table>") == 2
    assert "<strong>Rows are not ranked: custom protocol.</strong>" in text
    assert cells_of(text, 1)[0].startswith("ce/method_0")  # there is no column of ranks
    assert [(data["dataset"], data["track"], data["terms"][:15]) for data in embedded(text)] == [
        ("cifar100-lt@100", "common", "common protocol"), ("cifar100-lt@100", "paper", "common protocol")]


@pytest.mark.parametrize(("standing", "shaded"), [(TIED, 1), (WORSE, 0), (NOT_COMPARED, 0)])
def test_rows_not_distinguishable_from_the_best_are_shaded(standing: str, shaded: int) -> None:
    text = page(board([table([row(9, standing=standing)])]))
    assert [one["standing"] for one in embedded(text)[0]["rows"]] == [standing]
    assert text.count('class="tied"') == text.count("<abbr") == text.count("Shaded rows") == shaded


def test_a_verdict_is_shown_before_a_claim_on_other_terms() -> None:
    lost = claim("not reproduced") | {"differences": {"all": -2.04}}
    assert telling([claim(), lost, claim("reproduced")]) == ("59.0", "−2.0", "not reproduced", "not-reproduced", 2)
    assert telling([]) == ("—", "—", "", "", 0)


def test_columns_without_a_figure_in_the_table_are_not_there() -> None:
    plain = row(0, metrics={"accuracy.all": {"mean": 1.0, "ci95": None, "runs": 1}}, peak_memory_bytes={})
    text = page(board([table([plain], reported=[[]])]))
    assert not re.search(r'data-key="(label_shift|memory)', text) and ">reported<" not in text and ">notes<" not in text
    assert 'data-key="label_shift.built.forward50.accuracy"' in page(small())  # of 2 and 50 the furthest


def test_what_sets_a_row_apart_stands_in_its_notes() -> None:
    given = row(0, overrides={"lr": 0.1, "norm": True}, external="a file", diverged=1, failed=2, rank=None)
    assert cells_of(page(board([table([given])])))[-1] == (
        "lr=0.1; norm=true; external: a file; 1 of 6 diverged; 2 of 6 failed")


def test_a_row_that_was_not_compared_says_why() -> None:
    once = row(3, seeds=1, standing=NOT_COMPARED, not_compared="one seed")
    cells = cells_of(page(board([table([row(0), once])])), 1)
    assert cells[2] == "59.7" and cells[-1] == "not compared: one seed"
    text = page(board([table([once])]))
    assert "Rows are not compared: one seed" in text and ">notes<" not in text


def test_no_interval_leaves_what_a_figure_can_be() -> None:
    metrics = row(0)["metrics"] | {"accuracy.many": {"mean": 99.0, "ci95": [96.1, 100.0], "runs": 3}}
    text = page(board([table([row(0, metrics=metrics)])]))
    assert "99.0 (96.1 to 100.0)" in cells_of(text)
    assert embedded(text)[0]["rows"][0]["values"]["accuracy.many"] == [99.0, 96.1, 100.0]


def test_bounds_of_many_and_few_are_the_tables() -> None:
    text = page(board([table([row(0)], protocol={"splits": [50, 10]})]))
    assert embedded(text)[0]["splits"] == [50, 10] and "over classes of 10 to 50 training images" in text
    assert embedded(page(small()))[0]["splits"] == [100, 20]


def test_vendored_files_are_the_published_ones_with_their_licenses() -> None:
    vendor = files("ltbench.leaderboard.page").joinpath("vendor")
    notes = vendor.joinpath("README.md").read_text(encoding="utf-8")
    names = sorted(entry.name for entry in vendor.iterdir())
    assert names == ["README.md", "chart.js.LICENSE.md", "chart.umd.min.js", "pico.LICENSE.md", "pico.min.css"]
    for name in ("chart.umd.min.js", "pico.min.css"):
        assert hashlib.sha256(vendor.joinpath(name).read_bytes()).hexdigest() in notes
    for name in ("chart.js.LICENSE.md", "pico.LICENSE.md"):
        assert "Permission is hereby granted, free of charge" in vendor.joinpath(name).read_text(encoding="utf-8")
