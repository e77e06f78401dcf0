from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.support.chromium import FLAGS, Browser


def begin(driver: Callable[[], Any]) -> Any:
    """Start a browser; selenium waits half a minute for it, which on a busy machine may not do."""
    from selenium.common.exceptions import WebDriverException

    for _ in range(9):
        with suppress(WebDriverException):
            return driver()
    return driver()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    chromedriver = shutil.which("chromedriver")
    if not (chromium and chromedriver):
        # A test that is left out on the machine that judges tests nothing.
        leave = pytest.fail if os.environ.get("CI") else pytest.skip
        leave("no Chromium with its driver is installed (on Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # A driver named by its path keeps selenium from looking for one elsewhere.
    started = begin(lambda: webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver)))
    started.set_script_timeout(3600)  # the usual 30 seconds say how busy the machine is
    started.set_page_load_timeout(3600)
    yield started
    started.quit()


@pytest.fixture
def browser(driver: Any) -> Iterator[Browser]:
    opened = Browser(driver)
    opened.size(1400, 900)
    yield opened
    opened.command("Emulation.setEmulatedMedia", media="", features=[])
    assert opened.driver.get_log("browser") == []  # neither an error nor a warning, and nothing that the policy stopped
