"""A real Chromium without a window, through Playwright: the fixture `browser`.

Playwright's loop runs for as long as it is in use, and would be in the way of every test with a loop of its own. It has a
thread to itself, and what is asked of its objects is asked there.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class There:
    """An object of Playwright's, in the thread of Playwright's."""

    def __init__(self, value, thread):
        self._value, self._thread = value, thread

    def __getattr__(self, name):
        return self._here(self._thread.submit(getattr, self._value, name).result())

    def __call__(self, *arguments, **options):
        return self._here(self._thread.submit(self._value, *arguments, **options).result())

    def _here(self, value):
        plain = isinstance(value, str | bytes | int | float | bool | list | dict | None)
        return value if plain else There(value, self._thread)


@pytest.fixture(scope="session")
def browser():
    """A browser; the test is skipped where there is none, but for CI, where that is a failure."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        sync_playwright = None
    if path is None or sync_playwright is None:
        lacks = "Chromium is not installed" if path is None else "the Python package playwright is not installed"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"{lacks}, and this test looks at a page in a real browser"
        )
    with ThreadPoolExecutor(1) as thread:
        playwright = There(sync_playwright(), thread).start()
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()
        playwright.stop()
