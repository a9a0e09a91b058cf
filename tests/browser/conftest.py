from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.browser.kit import CHROMIUM, DRIVER, Browser, Pages

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start one browser for all tests of a module: that takes a second or two."""
    if CHROMIUM is None or DRIVER is None:
        reason = "no Chromium: apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    try:
        yield browser
    finally:
        browser.quit()


@pytest.fixture
def browser(one_browser: Browser) -> Iterator[Browser]:
    """Give the browser as a person has it who has chosen nothing."""
    one_browser.look()
    yield one_browser
    one_browser.open("about:blank")


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    """Serve pages as they were written."""
    pages = Pages()
    yield pages
    pages.close()
