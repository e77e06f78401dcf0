"""How the page looks and reads in a real browser. Screenshots lie in each test's temporary folder: look at them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from ltbench.leaderboard.page import render_index
from tests.support.chromium import Browser
from tests.support.page_factory import board, broken, large, parts, row, table, three, unrun

pytestmark = pytest.mark.slow


def paper_track() -> dict[str, Any]:
    return board(broken()["tables"][1:])


def wide() -> dict[str, Any]:
    """A board whose intervals end where figures do, so that they are written with both ends."""
    ends = {f"accuracy.{name}": {"mean": 98.7, "ci95": [95.8, 100.0], "runs": 3} for name in ("all", "many", "medium", "few")}
    ends |= {name: {"mean": 98.7, "ci95": [95.8, 100.0], "runs": 3} for name in ("worst_tenth", "harmonic_mean")}
    long = row(0, metrics=row(0)["metrics"] | ends, method="ce/a_method_with_a_long_name(strength=0.25)")
    return board([table([long, row(1)])])


@pytest.mark.parametrize("content", [three, large, broken, paper_track, wide])
def test_a_phone_scrolls_down_only(browser: Browser, tmp_path: Path, content: Any) -> None:
    browser.size(390, 844)
    browser.open(content(), tmp_path)
    assert browser.run("return document.documentElement.scrollWidth") == 390
    browser.screenshot(tmp_path / "phone.png")
    browser.click("tbody th button")
    assert browser.run("return document.documentElement.scrollWidth") == 390
    assert browser.run("return document.getElementById('opened').offsetHeight") > 400
    browser.screenshot(tmp_path / "phone-opened.png")


def test_a_phone_has_the_table_on_its_first_screen(browser: Browser, tmp_path: Path) -> None:
    browser.size(390, 844)
    browser.open(large(), tmp_path)
    heads = browser.run("return [...document.querySelectorAll('.results:not([hidden]) > table > thead th')]"
                        ".filter((head) => head.offsetWidth > 1).map((head) => head.innerText)")
    assert [head for head in heads if head != "in the figures"] == ["method", "all", "few"]
    assert browser.run("return document.querySelector('tr[data-row=\"2\"]').getBoundingClientRect().bottom") < 844
    # A tap anywhere on a row opens it to the rest.
    browser.click("tr[data-row='1'] td.all")
    assert "harmonic mean" in browser.run("return document.getElementById('opened').innerText")


@pytest.mark.parametrize("content", [large, wide, unrun])
def test_nothing_is_cut_off_and_nothing_scrolls_within_the_page(browser: Browser, tmp_path: Path, content: Any) -> None:
    browser.size(1440, 900)
    browser.open(content(), tmp_path)
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for name in ("classes", "trust", "cost", "print"):
        browser.run("document.querySelector(`#sets button[value=${arguments[0]}]`)?.click()", name)
        assert browser.run("return document.documentElement.scrollWidth") == 1440
        assert browser.run("""return [...document.querySelectorAll('main *')].filter((one) => one.clientWidth > 1
            && ((one.scrollWidth > one.clientWidth + 1 && ['auto', 'scroll'].includes(getComputedStyle(one).overflowX))
            || (one.scrollHeight > one.clientHeight + 1 && ['auto', 'scroll'].includes(getComputedStyle(one).overflowY))))
            .map((one) => one.outerHTML.slice(0, 80))""") == []
    browser.screenshot(tmp_path / "wide.png")


@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_over_all_boards(browser: Browser, tmp_path: Path, width: int) -> None:
    measured, _ = parts(large())
    browser.size(width, 900)
    browser.show(render_index([measured, unrun()]), tmp_path)
    assert browser.run("return document.documentElement.scrollWidth") == width
    assert [request for request in browser.requests() if not request.startswith("data:")] == [(tmp_path / "index.html").as_uri()]
    for scheme in ("light", "dark"):
        browser.choose("theme", scheme)
        assert (ground(browser) < 0.05) == (scheme == "dark")
        for element in ("h1", ".what", "article p", "article a", "tbody th", "tbody td", "tbody small"):
            assert contrast(browser, element) >= 4.5, element
        browser.screenshot(tmp_path / f"{scheme}.png")


# Relative luminance and contrast as WCAG 2.2 defines them, of the color in effect, whatever way it was written.
LUMINANCE = """
    const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const luminance = (color) => {
      context.fillStyle = color; context.fillRect(0, 0, 1, 1);
      const linear = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((value) => value / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
      return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const ground = luminance(getComputedStyle(document.querySelector('.results thead th, article')).backgroundColor);
"""


def ground(browser: Browser) -> float:
    return browser.run(LUMINANCE + "return ground")


def contrast(browser: Browser, selector: str) -> float:
    """Return the least contrast of text with what is behind it, over all elements."""
    return browser.run(LUMINANCE + """
        return Math.min(...[...document.querySelectorAll(arguments[0])].map((element) => {
          const style = getComputedStyle(element);
          const clear = style.backgroundColor === 'rgba(0, 0, 0, 0)';
          const pair = [luminance(style.color), clear ? ground : luminance(style.backgroundColor)].sort((a, b) => a - b);
          return (pair[1] + 0.05) / (pair[0] + 0.05);
        }));""", selector)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_have_contrast(browser: Browser, tmp_path: Path, scheme: str) -> None:
    browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(large(), tmp_path)
    assert (ground(browser) < 0.05) == (scheme == "dark")
    for element in ("h1", ".lead .what", ".tops .label", ".tops .go", "tr.worse td", "tr.best td", "tr.worse small",
                    "tr.best small", "tbody th", "#shown", "#wins td", "#sets button", ".key", ".chip", ".figure p",
                    "summary", "footer p"):
        assert contrast(browser, element) >= 4.5, element
    for kind, on in (("right", "right"), ("many", "wrong"), ("medium", "wrong"), ("few", "wrong")):  # figures within bars
        pair = sorted(browser.run(LUMINANCE + "const style = getComputedStyle(document.documentElement);"
                                  "return arguments[0].map((name) => luminance(style.getPropertyValue(name).trim()))",
                                  [f"--fate-{kind}", f"--on-{on}"]))
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, kind
    browser.screenshot(tmp_path / f"{scheme}.png")
    browser.choose("theme", "light" if scheme == "dark" else "dark")
    assert (ground(browser) < 0.05) == (scheme == "light")


def test_print_is_light_and_shows_the_whole_table(browser: Browser, tmp_path: Path) -> None:
    browser.open(large(), tmp_path)
    browser.choose("theme", "dark")
    (tmp_path / "print.pdf").write_bytes(base64.b64decode(browser.command("Page.printToPDF", preferCSSPageSize=True)["data"]))
    assert (tmp_path / "print.pdf").read_bytes().startswith(b"%PDF")
    browser.command("Emulation.setEmulatedMedia", media="print")
    assert browser.until(lambda: ground(browser) > 0.9)
    assert browser.run("return [...document.querySelectorAll('.results:not([hidden]) tbody tr')]"
                       ".filter((one) => one.offsetHeight).length") == 200
    assert browser.run("return getComputedStyle(document.querySelector('.switches')).display") == "none"
    browser.screenshot(tmp_path / "print.png")


def test_without_scripts_the_tables_are_complete(browser: Browser, tmp_path: Path) -> None:
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(three(), tmp_path)
    browser.command("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.run("return [...document.querySelectorAll('.results')].filter((box) => box.offsetHeight > 0).length") == 3
    assert browser.run("return document.querySelector('.switches').offsetHeight") == 0


def test_motion_is_reduced_where_asked(browser: Browser, tmp_path: Path) -> None:
    browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    browser.open(three(), tmp_path)
    moving = browser.run("return [...document.querySelectorAll('*')].filter((one) => { const style = getComputedStyle(one);"
                         "return style.animationName !== 'none' || style.scrollBehavior !== 'auto'; }).length")
    assert moving == 0


@pytest.mark.parametrize("name", ["table", "figure", "select", "input", "button", "region", "search"])
def test_everything_has_a_name_for_a_screen_reader(browser: Browser, tmp_path: Path, name: str) -> None:
    browser.open(three(), tmp_path)
    nodes = browser.command("Accessibility.getFullAXTree")["nodes"]
    roles = {"table": "table", "figure": "image", "select": "combobox", "input": "checkbox", "button": "button",
             "region": "region", "search": "searchbox"}
    found = [node for node in nodes if not node["ignored"] and node["role"]["value"] == roles[name]]
    assert found and all(node["name"]["value"].strip() for node in found)
