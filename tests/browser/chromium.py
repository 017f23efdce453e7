"""A real browser for the tests: Debian's chromium or the one that playwright installed; tests skip where none is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

INSTALLED = shutil.which("chromium") or shutil.which("google-chrome")


@contextmanager
def open_browser() -> Iterator:
    """A playwright Browser without a window."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: see the extra `test`")
    with sync_api.sync_playwright() as playwright:
        executable = INSTALLED or playwright.chromium.executable_path
        if not Path(executable).is_file():
            pytest.skip("no browser here: apt-get install chromium, or python -m playwright install chromium")
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        try:
            yield browser
        finally:
            browser.close()
