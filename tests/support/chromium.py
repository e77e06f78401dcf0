"""A page in a real browser: headless Chromium, driven by selenium."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.page_factory import page

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars")


class Browser:
    """A page in Chromium."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def open(self, content: dict[str, Any], folder: Path) -> None:
        self.show(page(content), folder)

    def show(self, text: str, folder: Path) -> None:
        file = folder / "index.html"
        file.write_text(text, encoding="utf-8", newline="\n")
        self.driver.get_log("browser"), self.driver.get_log("performance")
        self.driver.get(file.as_uri())

    def command(self, name: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, arguments)

    def size(self, width: int, height: int) -> None:
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def requests(self) -> list[str]:
        """Return what was fetched since the page was opened."""
        messages = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]

    def methods(self) -> list[str]:
        """Return the shown table's visible rows, from the top."""
        return self.run("return [...document.querySelectorAll('.results:not([hidden]) tbody tr:not([hidden]) th button')]"
                        ".map((button) => button.textContent)")

    def until(self, holds: Callable[[], bool], seconds: float = 120.0) -> bool:
        """Wait for what the page does in its own time, such as its answer to a change of medium; return whether it came."""
        end = time.monotonic() + seconds
        while not (found := holds()) and time.monotonic() < end:
            time.sleep(0.05)
        return found

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)

    def choose(self, name: str, value: str) -> None:
        self.run("const select = document.getElementById(arguments[0]); select.value = arguments[1];"
                 "select.dispatchEvent(new Event('change'))", name, value)
