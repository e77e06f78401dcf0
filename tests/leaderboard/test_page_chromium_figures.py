"""What the page draws in a real browser, and what of it can be saved."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.support.chromium import Browser
from tests.support.page_factory import board, large, row, table

pytestmark = pytest.mark.slow


def given(place: int, many: float, few: float, seeds: tuple[int, ...] = (0, 1, 2)) -> dict[str, Any]:
    figures = {f"accuracy.{name}": {"mean": value, "ci95": [value - 0.1, value + 0.1], "runs": 3}
               for name, value in (("all", (many + few) / 2), ("many", many), ("few", few))}
    runs = [{"seed": seed, "split_seed": 0, "accuracy": {"all": few + seed * place, "many": many, "medium": None, "few": few}}
            for seed in seeds]
    return row(place, method=f"m{place}", metrics=figures, runs=runs)


def cells(browser: Browser, name: str) -> list[list[str]]:
    return browser.run("return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)]"
                       ".map((line) => [...line.cells].map((cell) => cell.textContent))", name)


def test_the_front_and_the_wins(browser: Browser, tmp_path: Path) -> None:
    """Four rows, of which the last is worse than the third in both; three runs each, and a fourth row of other seeds."""
    browser.open(board([table([given(0, 80, 10), given(1, 60, 30), given(2, 50, 20), given(3, 70, 20, (7, 8, 9))])]), tmp_path)
    assert [(line[0], line[3]) for line in cells(browser, "shots-table")] == [
        ("m0", "yes"), ("m1", "yes"), ("m2", "no"), ("m3", "yes")]
    # Of runs 0, 1, 2: m1 - m0 = 20, 21, 22; m2 - m1 = -10, -9, -8. The picked rows stand first: best of all, few and many.
    browser.run("document.querySelectorAll('#picked button').forEach(() => document.querySelector('#picked button').click())")
    assert cells(browser, "wins")[1] == ["2 m1", "+21.0", "", "+9.0", "—"]
    assert browser.run("return document.querySelectorAll('#wins .sure').length") == 6
    browser.choose("wins-of", "2")
    assert cells(browser, "wins")[1] == ["2 m1", "—", "", "—", "—"]


def test_picking_rows_chooses_what_figures_show(browser: Browser, tmp_path: Path) -> None:
    browser.open(large(), tmp_path)
    pressed = ".results:not([hidden]) td.pick [aria-pressed=true]"
    assert browser.run(f"return document.querySelectorAll('{pressed}').length") == 3
    for _ in range(5):  # six at most
        browser.click(".results:not([hidden]) td.pick [aria-pressed=false]")
    assert browser.run(f"return document.querySelectorAll('{pressed}').length") == 6
    assert len(browser.run("return [...document.querySelectorAll('#picked button')].map((chip) => chip.textContent)")) == 6
    for name, texts in (("curve", 6), ("calibration", 6), ("training", 6), ("fates", 18)):
        marks = browser.run("return document.querySelectorAll(`#${arguments[0]} g[class^=s]`).length", name)
        assert marks == texts, name
    assert browser.run("return document.querySelector('#curve-table thead tr').cells.length") == 7
    assert browser.run("return document.querySelectorAll('#curve-table tbody tr').length") == 10
    browser.click("#picked button")
    assert browser.run(f"return document.querySelectorAll('{pressed}').length") == 5
    # A point of the first figure picks its row too.
    browser.run("document.querySelector('#shots .point:not(.s1):not(.s2):not(.s3):not(.s4):not(.s5)')"
                ".dispatchEvent(new Event('click', {bubbles: true}))")
    assert browser.run(f"return document.querySelectorAll('{pressed}').length") == 6


def test_figures_show_what_the_row_holds(browser: Browser, tmp_path: Path) -> None:
    one = row(0, method="m", fates={"few": [20.0, 50.0, 20.0, 10.0]}, calibration=[[.25, 10.0, 50.0], [.95, 60.0, 50.0]],
              training=[[1, 1, 10.0, 3.0], [1, 2, 50.0, 1.5], [2, 3, 55.0, 0.7]])
    browser.open(board([table([one, row(1, fates=None, calibration=None, training=None)])]), tmp_path)
    assert cells(browser, "fates-table") == [["m, few", "20.0", "50.0", "20.0", "10.0"]]
    widths = browser.run("return [...document.querySelectorAll('#fates g.fate rect')]"
                         ".map((bar) => Number(bar.getAttribute('width')) + 1)")
    assert [round(width / widths[0], 2) for width in widths] == [1, 2.5, 1, 0.5]
    assert cells(browser, "calibration-table") == [["m, 25.0", "10.0", "50.0"], ["m, 95.0", "60.0", "50.0"]]
    assert browser.run("return document.querySelectorAll('#training path.line').length") == 2  # a line a stage
    assert cells(browser, "training-table")[-1] == ["m, 2, 3", "55.0"]
    browser.choose("training-of", "3")
    assert cells(browser, "training-table")[-1] == ["m, 2, 3", "0.700"]


def test_one_outlier_does_not_squeeze_a_figure_and_is_named(browser: Browser, tmp_path: Path) -> None:
    rows = [given(place, 70 + place, 20 + place) for place in range(12)]
    browser.open(board([table([*rows, given(12, 5, 1)])]), tmp_path)
    assert "far beyond: m12 (5.0; 1.0)." in browser.run("return document.getElementById('shots-about').textContent")
    xs = browser.run("return [...document.querySelectorAll('#shots .point:not(.edge) title')].map((title) => title.parentElement"
                     ".getBoundingClientRect().x)")
    width = browser.run("return document.querySelector('#shots svg').getBoundingClientRect().width")
    assert len(xs) == 12 and max(xs) - min(xs) > 0.75 * width
    assert browser.run("return document.querySelectorAll('#shots .point.edge').length") == 1


def test_names_cover_neither_points_nor_lines_nor_each_other(browser: Browser, tmp_path: Path) -> None:
    rows = [given(place, 70 + place, 40 - place) for place in range(12)]
    browser.open(board([table(rows)]), tmp_path)
    browser.screenshot(tmp_path / "names.png")
    boxes, marks = browser.run("""
        const boxes = (selector) => [...document.querySelectorAll(selector)].map((element) => {
          const {left, right, top, bottom} = element.getBoundingClientRect();
          return [left, right, top, bottom];
        });
        return [boxes('#shots text.name'), boxes('#shots .point .mark')];""")
    assert len(boxes) >= 6

    def apart(a: list[float], b: list[float]) -> bool:  # a box of text is higher than its letters
        return a[1] <= b[0] + 1 or b[1] <= a[0] + 1 or a[3] <= b[2] + 4 or b[3] <= a[2] + 4

    assert all(apart(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1:])
    assert all(apart(a, b) for a in boxes for b in marks)


def test_the_table_and_the_figures_can_be_saved(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    browser.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    rows = [row(0), row(1, method="=1+1, \"x\"", not_compared="one seed", rank_interval=None)]
    browser.open(board([table(rows)]), tmp_path)
    browser.click("th[data-key='method'] button")
    browser.click("#save-csv")
    browser.click("[data-for=shots] button[aria-label$=SVG]")
    browser.click("[data-for=fates] button[aria-label$=PNG]")
    name = "cifar-common-common-protocol-resnet32-200-epochs-bf16"
    assert browser.until(lambda: {file.name for file in folder.iterdir()} == {
        f"{name}-table.csv", f"{name}-shots.svg", f"{name}-fates.png"})
    lines = list(csv.DictReader(io.StringIO((folder / f"{name}-table.csv").read_text(encoding="utf-8"))))
    assert [line["method"] for line in lines] == ["'=1+1, \"x\"", "ce/method_0(strength=0.0)"]  # in the shown order; no formula
    assert [lines[1][name] for name in ("all", "all from", "all to", "rank to")] == ["60", "59.5", "60.5", "4"]
    assert lines[0]["compared"] == "not compared"
    drawing = ElementTree.fromstring((folder / f"{name}-shots.svg").read_text(encoding="utf-8"))
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg" and not [one for one in drawing.iter() if "class" in one.attrib]
    assert {one.attrib["fill"] for one in drawing.iter("{http://www.w3.org/2000/svg}text")} >= {"rgb(23, 32, 43)"}
    assert (folder / f"{name}-fates.png").read_bytes().startswith(b"\x89PNG")
