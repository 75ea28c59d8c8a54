"""Chromium without a window, for tests and for pictures of the dashboard."""

import os
import shutil

from playwright.sync_api import Browser, Playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def launch(playwright: Playwright) -> Browser:
    """Return a running browser, which the caller closes."""
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS
    return playwright.chromium.launch(executable_path=_find(), args=flags)


def _find() -> str:
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    raise RuntimeError("Chromium is missing. On Debian or Ubuntu: apt install chromium")
