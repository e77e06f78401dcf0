"""How the page looks and reads in a real browser. Screenshots lie in each test's temporary folder: look at them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.support.chromium import Browser
from tests.support.page_factory import board, broken, large, three

pytestmark = pytest.mark.slow


def paper_track() -> dict[str, Any]:
    return board(broken()["tables"][1:])


@pytest.mark.parametrize("content", [three, large, broken, paper_track])
def test_a_phone_scrolls_down_only(browser: Browser, tmp_path: Path, content: Any) -> None:
    browser.size(390, 844)
    browser.open(content(), tmp_path)
    assert browser.run("return document.documentElement.scrollWidth") == 390
    browser.screenshot(tmp_path / "phone.png")
    browser.click("tbody button")
    assert browser.run("const d = document.querySelector('#details article'); return d.scrollWidth <= d.clientWidth")
    browser.screenshot(tmp_path / "phone-details.png")


# Relative luminance and contrast as WCAG 2.2 defines them, of the color in effect, whatever way it was written.
LUMINANCE = """
    const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const luminance = (color) => {
      context.fillStyle = color; context.fillRect(0, 0, 1, 1);
      const linear = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((value) => value / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
      return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const ground = luminance(getComputedStyle(document.querySelector('.results thead th')).backgroundColor);
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
    for element in ("h1", "caption", "tr:not(.tied) td", "tr.tied td", "tr:not(.tied) small", "tbody th", "#shown", "#wins td"):
        assert contrast(browser, element) >= 4.5, element
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
    assert browser.run("const box = document.querySelector('.results'); return box.scrollHeight <= box.clientHeight + 1")
    assert browser.run("return getComputedStyle(document.querySelector('.switches')).display") == "none"
    browser.screenshot(tmp_path / "print.png")


def test_without_scripts_the_tables_are_complete(browser: Browser, tmp_path: Path) -> None:
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(three(), tmp_path)
    browser.command("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.run("return [...document.querySelectorAll('.results')].filter((box) => box.offsetHeight > 0).length") == 3
    assert browser.run("return document.querySelector('.switches').offsetHeight") == 0


@pytest.mark.parametrize("name", ["table", "canvas", "select", "input", "button", "dialog", "[role=region]"])
def test_everything_has_a_name_for_a_screen_reader(browser: Browser, tmp_path: Path, name: str) -> None:
    browser.open(three(), tmp_path)
    nodes = browser.command("Accessibility.getFullAXTree")["nodes"]
    roles = {"table": "table", "canvas": "image", "select": "combobox", "input": "checkbox", "button": "button",
             "dialog": "dialog", "[role=region]": "region"}
    if name == "dialog":
        browser.click("tbody button")
        nodes = browser.command("Accessibility.getFullAXTree")["nodes"]
    found = [node for node in nodes if not node["ignored"] and node["role"]["value"] == roles[name]]
    assert found and all(node["name"]["value"].strip() for node in found)
