"""The page as text; ``test_page_chromium.py`` opens it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from ltbench.leaderboard.page import embed, render_index, render_page
from ltbench.leaderboard.page.printed import telling
from ltbench.leaderboard.page.rows import ranks_of
from ltbench.leaderboard.ranking import NOT_COMPARED, TIED, WORSE
from ltbench.leaderboard.tables import Heading
from tests.support.page_factory import HOSTILE, board, claim, large, page, paper_claim, parts, row, table, unrun

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
    assert sorted(address or "" for address in addresses) == ["#rows", "../index.html", "board.csv", "board.json", "board.tex"]
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
    assert len(scripts) == 1 and allowed["script-src"].split() == [source(script) for script in scripts]
    assert allowed["style-src"] == source(*read.of("style"))


def test_200_methods_on_three_datasets_are_under_2_and_a_half_mb() -> None:
    assert len(page(large()).encode()) < 2_500_000


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
    given = row(0, method=text, overrides={text: text}, external=text, command=text, not_compared=text,
                stages=[{"expression": text, "inputs": text, "overrides": {text: text},
                         "methods": [{"name": text, "hyperparameters": {text: text}, "about": text}]}],
                made_by={name: [text] for name in ("commits", "ltbench", "plugins", "devices", "selection", "tuning")},
                seconds_by_phase={text: 1.0}, peak_memory_bytes={text: 1})
    hostile = table([given], heading=Heading(text, "common", text), not_ranked=text, remark=text,
                    reported=[[claim() | {"source": text, "table": text, "row": text, "reason": text}]])
    claimed = paper_claim(says=text, source=text, table=text, split=text)
    papers = [{"authors": text, "title": text, "link": text, "methods": [text]}]
    about = {name: [{key: text if isinstance(value, str) else value for key, value in one.items()} for one in unrun()[name]]
             for name in ("printed", "asked")}
    written = page(board([hostile], name=text, title=text, claims=[claimed], papers=papers, **about))
    written.encode()
    tame = table([row(0, external="x", not_compared="x")], not_ranked="x", remark="x")
    read, plain = Reader(written), Reader(page(board([tame], claims=[paper_claim()], **{
        name: [{key: "x" if isinstance(value, str) else value for key, value in one.items()} for one in unrun()[name]]
        for name in ("printed", "asked")})))
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
        "11 to 4", "ce/method_0(strength=0.0) ≈", "60.0 ± 0.5", "80.0 ± 0.5", "50.0 ± 0.5", "20.0 ± 0.5", "5.0 ± 0.5",
        "17.1 ± 0.5", "0.100 ± 0.500", "70.0 ± 0.5", "30.0 ± 0.5", "0.46", "1.00", "1000.0", "2048", "3", "59.0", "",
        "not comparable"]


def test_an_empty_figure_is_a_dash_and_never_zero() -> None:
    empty = {"mean": None, "ci95": None, "runs": 0}
    nothing = row(0, metrics={"accuracy.all": empty}, seconds=empty, peak_memory_bytes={"cuda": None}, rank=None,
                  cost=None)
    text = page(board([table([nothing])]))
    assert cells_of(text)[2:9] == ["—"] * 7 and cells_of(text)[9:11] == ["—"] * 2
    (data,) = embedded(text)
    assert data["rows"][0]["values"] == {} and data["rows"][0]["memory"] == {"cuda": None}


def test_one_seed_has_no_interval_and_is_not_compared() -> None:
    cells = cells_of(page(board([table([row(0, seeds=1, standing=NOT_COMPARED, rank_interval=None, not_compared="one seed")])])))
    assert cells[0] == "1not compared: one seed" and "±" not in "".join(cells)


def test_tables_of_unequal_terms_stand_apart_and_unranked_ones_say_why() -> None:
    text = page(board([table([row(0)]), table([row(0, rank=None)], track="paper", not_ranked="custom protocol")]))
    assert text.count('class="results"') == 2
    assert "<strong>Rows are not ranked: custom protocol.</strong>" in text
    assert cells_of(text, 1)[0].startswith("ce/method_0")  # there is no column of ranks
    assert [(data["dataset"], data["track"], data["terms"][:15]) for data in embedded(text)] == [
        ("cifar100-lt@100", "common", "common protocol"), ("cifar100-lt@100", "paper", "common protocol")]


@pytest.mark.parametrize(("said", "why", "standing"), [
    (TIED, None, "best"), (WORSE, None, "worse"), (NOT_COMPARED, "one seed", "not-compared"),
    (NOT_COMPARED, None, "not-compared"), (WORSE, "a run broke", "not-compared"),  # whatever else a row says
])
def test_not_compared_is_told_from_worse(said: str, why: str | None, standing: str) -> None:
    text = page(board([table([row(9, standing=said, not_compared=why)])]))
    (found,) = re.findall(r'<tr data-row="0" class="([a-z-]+)"', text)
    assert found == embedded(text)[0]["rows"][0]["standing"] == standing
    assert text.count(f'class="swatch {standing}"') == 1 and text.count('class="swatch') == 1
    assert text.count("<abbr") == (standing == "best")


def test_ranks_are_among_the_rows_that_were_compared() -> None:
    """The ranks that the data allow are among these; a row of one seed between them has none, and stands below."""
    apart = {"standing": NOT_COMPARED, "rank_interval": None, "not_compared": "one seed"}
    rows = [row(0), row(1, **apart), row(2), row(3, rank=3), row(4, rank=None, **apart)]
    assert ranks_of(rows) == [1, None, 2, 2, None]
    assert ranks_of(rows[:2]) == [1, 2]  # one compared row has none to be ranked among
    data = embedded(page(board([table(rows)])))[0]["rows"]
    assert [one["method"][10] for one in data] == ["0", "2", "3", "1", "4"]
    assert [one["ranked"] for one in data] == [True, True, True, True, False]


def test_the_best_of_a_column_is_bold() -> None:
    rows = [row(place, cost=None, peak_memory_bytes={}, seconds={"mean": 1.0, "ci95": None, "runs": 3},
                metrics={name: {"mean": value, "ci95": [value - 1, value + 1], "runs": 3}
                         for name, value in (("accuracy.all", mean), ("ece", ece))})
            for place, (mean, ece) in enumerate([(60.04, .2), (60.01, .1), (50.0, .3)])]
    text = page(board([table([*rows, row(3, seeds=1, metrics={"accuracy.all": {"mean": 99.0, "ci95": None, "runs": 1}},
                                         cost=None, peak_memory_bytes={})])]))
    assert [re.findall(r"<td[^>]*><b>([\d.]+)</b>", line) for line in re.findall(r"<tr data-row.*?</tr>", text, re.DOTALL)] == [
        ["1"], ["2", "0.100"], ["3"], ["4"]]  # 60.0 twice among three sets nobody apart, one seed counts nothing; ranks beside


def test_a_verdict_is_shown_before_a_claim_on_other_terms() -> None:
    lost = claim("not reproduced") | {"differences": {"all": -2.04}}
    assert telling([claim(), lost, claim("reproduced")]) == ("59.0", "−2.0", "not reproduced", "not-reproduced", 2)
    assert telling([claim()]) == ("59.0", "", "not comparable", "not-comparable", 0)  # a difference of terms says nothing
    assert telling([]) == ("—", "", "", "", 0)


def test_the_page_opens_with_what_was_compared_and_what_is_best() -> None:
    text = page(board([table([row(0), row(1), row(9, seeds=1)]), table([row(2, rank=None)], not_ranked="custom protocol")]))
    first, second = (re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", part)) for part in text.split('class="opening"')[1:])
    assert "3 rows , 7 runs, 1 to 3 seeds each, on equal terms: cifar100-lt@100, common track" in first
    # Of all and many the first is best, of few the second (20 + 1/8 + 1); one seed has no part.
    for said in ("Best over all classes 60.0 ± 0.5 ce/method_0(strength=0.0) cannot be told from 1 other",
                 "Best on few-shot classes 21.1 ± 0.5 ce/method_1", "Best on many-shot classes 80.0 ± 0.5 ce/method_0"):
        assert said in first
    assert "Rows are not ranked: custom protocol." in second and "Highest over all classes" in second


def test_claims_stand_on_the_page_of_the_board() -> None:
    own = {"terms": "the paper's terms", "difference": 2.0, "ci95": [1.0, 3.0], "runs": 3, "verdict": "holds", "reason": "less",
           "text": "reproduced: +2.0 (+1.0 to +3.0); less"}
    text = page(board([table([row(0)])], claims=[paper_claim(), paper_claim(found=[own]), paper_claim(found=[])]))
    assert "3 claims of papers</a>: on the papers’ own terms 1 reproduced; on common track, 200 epochs 1 holds." in text
    assert '<span class="verdict reproduced">holds</span> <small>+1.7 (+1.0 to +2.3)</small>' in text
    assert '<span class="verdict reproduced">reproduced</span> <small>+2.0 (+1.0 to +3.0)</small><small class="reason">less<' in (
        text)
    assert text.count('<span class="verdict none">not run yet</span>') == 2


def test_a_board_without_records_has_its_printed_rows_with_command_and_cost() -> None:
    text = page(unrun())
    assert "Not run yet.</strong> No record is here" in text and 'id="rows"' not in text
    assert "<summary>command, 2.5 M images, 1.0 PFLOP a seed</summary><code>ltbench run --methods ce</code>" in text
    assert text.count("<code>ltbench run --methods ") == 3  # of one printed row, and of the two runs that lack seeds
    assert ">1 of 3 seeds<" in text and "--methods la" not in text
    assert len(text) < 30_000  # no script for a table that is not there


def test_the_page_over_all_boards_tells_measured_from_printed() -> None:
    measured, _ = parts(board([table([row(place) for place in range(8)])], printed=unrun()["printed"]))
    text = render_index([measured, unrun()])
    read = Reader(text)
    assert [attributes["href"] for tag, attributes in read.elements if tag == "a"] == [
        "#rows", "index.html", "cifar/index.html", "cifar10-lt/index.html"]
    told = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text.split("<main")[1]))
    assert "8 rows and 24 runs on 1 board were measured here" in told
    before, after = told.split("Printed only, not run yet")
    assert "A board of many rows" in before and "60.0 ± 0.5" in before and "CIFAR-10-LT" in after
    assert "2 printed rows (a paper) and 1 claim. 2 runs asked for" in after
    assert [attributes["cx"] for tag, attributes in read.elements if tag == "circle"][:2] == ["66.7", "60.0"]  # of 59.0 to 60.5


def test_a_row_names_its_papers() -> None:
    (stage,) = embedded(page(small()))[0]["rows"][0]["stages"][1:]
    assert stage["methods"] == [["method_0", "", "Somebody et al., 2020: On method 0", "https://example.org/method-0"]]


def test_columns_without_a_figure_in_the_table_are_not_there() -> None:
    plain = row(0, metrics={"accuracy.all": {"mean": 1.0, "ci95": None, "runs": 1}}, peak_memory_bytes={})
    text = page(board([table([plain], reported=[[]])]))
    assert not re.search(r'data-key="(label_shift|memory)', text) and ">reported<" not in text and "<em>" not in text
    assert 'data-key="label_shift.built.forward50.accuracy"' in page(small())  # of 2 and 50 the furthest


def test_what_sets_a_row_apart_stands_in_its_notes() -> None:
    given = row(0, overrides={"lr": 0.1, "norm": True}, external="a file", diverged=1, failed=2, rank=None)
    assert "lr=0.1; norm=true; external: a file; 1 of 6 diverged; 2 of 6 failed" in cells_of(page(board([table([given])])))[1]


def test_a_reason_that_all_rows_share_is_said_once_more_beneath_the_table() -> None:
    once = row(3, seeds=1, standing=NOT_COMPARED, not_compared="one seed")
    assert "Rows are not compared: one seed." in page(board([table([once])]))
    assert "Rows are not compared" not in page(board([table([row(0), once])]))


def test_no_interval_leaves_what_a_figure_can_be() -> None:
    metrics = row(0)["metrics"] | {"accuracy.many": {"mean": 99.0, "ci95": [96.1, 100.0], "runs": 3}}
    text = page(board([table([row(0, metrics=metrics)])]))
    assert "99.0 (96.1 to 100.0)" in cells_of(text)
    assert embedded(text)[0]["rows"][0]["values"]["accuracy.many"] == [99.0, 96.1, 100.0]


def test_bounds_of_many_and_few_are_the_tables() -> None:
    text = page(board([table([row(0)], protocol={"splits": [50, 10]})]))
    assert embedded(text)[0]["splits"] == [50, 10] and "over classes of 10 to 50 training images" in text
    assert embedded(page(small()))[0]["splits"] == [100, 20]


def test_the_page_of_a_folder_links_to_no_board() -> None:
    content, headings = parts(small())
    del content["asked"]
    read = Reader(render_page(content, headings))
    assert [attributes["href"] for tag, attributes in read.elements if tag == "a"] == ["#rows"]
