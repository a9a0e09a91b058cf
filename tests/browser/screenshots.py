"""Takes the pictures of the page that the documentation shows: ``nox -s screenshots``.

They are of the service of this folder, while it drains: in the light and in the dark.

    python -m tests.browser.screenshots FOLDER
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

import httpx

from tests.browser.kit import Browser, service

SIZE = (1200, 800)
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include>/etc/fonts/fonts.conf</include>
  <match target="pattern">
    <edit name="family" mode="assign" binding="strong">
      <string>Inter</string>
      <string>Liberation Sans</string>
    </edit>
  </match>
</fontconfig>
"""
"""The page takes the font of the system that it is seen on; this one is like that of most:
``apt-get install fonts-inter``."""


def main(folder: Path) -> None:
    """Take the pictures, and put them into a folder."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        fonts = Path(profile, "fonts.conf")
        fonts.write_text(FONTS, encoding="utf-8")
        os.environ["FONTCONFIG_FILE"] = str(fonts)
        browser = Browser(Path(profile, "profile"))
        try:
            take(browser, folder)
        finally:
            browser.quit()


def take(browser: Browser, folder: Path) -> None:
    """Let the service live until it drains, and take the pictures of that."""
    with service() as shop:
        for step in ("preflight pass", "database start", "packing take an order"):
            shop.tell(f"let {step}")
        browser.look(size=SIZE)
        browser.open(shop.url)
        browser.headline("Running")
        httpx.get(f"{shop.url}ready", trust_env=False)
        shop.tell("let tracing crash")
        browser.headline("Running, degraded")
        shop.process.send(signal.SIGTERM)
        browser.headline("Draining")
        browser.until("a while", lambda: browser.text("dl div:last-child dd")[:4] == "31 s")
        for scheme in ("light", "dark"):
            browser.look(size=SIZE, dark=scheme == "dark")
            picture = folder / f"page-{scheme}.png"
            picture.write_bytes(browser.picture())
            print(f"{picture}: {picture.stat().st_size // 1000} kB")  # noqa: T201  a program
        shop.tell("let packing finish")
        shop.tell("let database stop")
        shop.process.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
