"""A real browser, and real services for it to look at.

The browser is Debian's Chromium, headless, driven by Selenium. A page is waited for, and looked at,
as a person sees it: what is in it, and how it is drawn.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import TYPE_CHECKING, Any

from selenium import webdriver
from selenium.common.exceptions import (
    StaleElementReferenceException,
    TimeoutException,
    WebDriverException,
)
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from lifecycle.probes.page.assets import policy
from tests.e2e.kit import GENEROUS, Process, running_program
from tests.ports import held_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from selenium.webdriver.remote.webelement import WebElement

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")

PHONE = (360, 740)
DESKTOP = (1280, 900)

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


@contextlib.contextmanager
def _still_there() -> Iterator[None]:
    """Pass over it where what was found is gone by the time that it is looked at.

    A page that loads itself anew does that. Chromium has two ways to say so.
    """
    try:
        yield
    except StaleElementReferenceException:
        pass
    except WebDriverException as error:
        if "does not belong to the document" not in str(error.msg):
            raise


class Browser:
    """One window of one browser."""

    def __init__(self, profile: Path) -> None:
        """Start it, with a profile of its own."""
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM or ""
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        env = {**os.environ, "HOME": str(profile)}
        with held_port() as port:  # else Selenium chooses one long before it is used
            service = webdriver.ChromeService(DRIVER, port, env=env)
            self.driver = webdriver.Chrome(options, service)

    def quit(self) -> None:
        """End it."""
        self.driver.quit()

    # --- how it is looked at ---------------------------------------------------------------------

    def look(
        self,
        *,
        size: tuple[int, int] = DESKTOP,
        dark: bool = False,
        still: bool = True,
        scale: float = 1,
    ) -> None:
        """Choose a screen, a colour scheme, and whether things may move."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale}
        metrics["mobile"] = width == PHONE[0]
        self._command("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = "dark" if dark else "light"
        motion = "reduce" if still else "no-preference"
        features = [("prefers-color-scheme", scheme), ("prefers-reduced-motion", motion)]
        media = [{"name": name, "value": value} for name, value in features]
        self._command("Emulation.setEmulatedMedia", features=media)

    @contextlib.contextmanager
    def without_javascript(self) -> Iterator[None]:
        """Run no scripts meanwhile."""
        self._command("Emulation.setScriptExecutionDisabled", value=True)
        try:
            yield
        finally:
            self._command("Emulation.setScriptExecutionDisabled", value=False)

    def open(self, url: str) -> None:
        """Open a page; what was said before is forgotten."""
        self.problems()
        self.driver.get(url)

    # --- what is seen ----------------------------------------------------------------------------

    def all(self, selector: str) -> list[WebElement]:
        """Find the elements that a CSS selector fits."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """Read what is to be seen of the first such element; empty where there is none."""
        return next((element.text for element in self.all(selector)), "")

    def row(self, component: str) -> dict[str, str]:
        """Read a component's row of the table: its cells, by the names of the columns."""
        heads = [head.text for head in self.all("[aria-labelledby=components-heading] thead th")]
        for row in self.all("[aria-labelledby=components-heading] tbody tr"):
            cells = [cell.text for cell in row.find_elements(By.CSS_SELECTOR, "th, td")]
            if cells[0].split()[0] == component:
                return dict(zip(heads, cells, strict=True))
        raise LookupError(component)

    def run(self, script: str, *args: object) -> Any:
        """Run a script in the page, and give what it returns."""
        return self.driver.execute_script(script, *args)

    def until(self, what: str, is_so: Callable[[], object]) -> Any:
        """Wait until something can be seen, and give what it gave."""

        def look(_: object) -> object:
            with contextlib.suppress(LookupError), _still_there():
                return is_so()
            return False

        try:
            return WebDriverWait(self.driver, GENEROUS, poll_frequency=0.05).until(look)
        except TimeoutException:
            seen = f"link: {self.text('#link')}\n{self.text('main')}\n{self.problems()}"
            raise AssertionError(f"not seen in {GENEROUS:g} s: {what}; but\n{seen}") from None

    def headline(self, words: str) -> None:
        """Wait until the headline has these words."""
        self.until(f"the headline {words!r}", lambda: self.text("main h2") == words)

    def state(self, component: str, words: str) -> None:
        """Wait until a component has this state, in the table."""
        self.until(f"{component} {words!r}", lambda: self.row(component)["State"] == words)

    def problems(self) -> list[str]:
        """Give what the console has said since the last time, other than for information."""
        log: list[dict[str, str]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [line["message"] for line in log if line["level"] in ("SEVERE", "WARNING")]

    def tree(self) -> list[tuple[str, str]]:
        """Give what a screen reader is told: roles and names, in their order."""
        nodes = self._command("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"]
        ]

    def tab(self) -> tuple[str, str]:
        """Press the Tab key; give the name of what has the focus then, and its outline."""
        ActionChains(self.driver).send_keys(Keys.TAB).perform()
        chosen = self.driver.switch_to.active_element
        return chosen.accessible_name, chosen.value_of_css_property("outline-style")

    def point(self, selector: str) -> None:
        """Point at an element."""
        ActionChains(self.driver).move_to_element(self.all(selector)[0]).perform()

    def complaints(self) -> list[str]:
        """Have axe-core look for what keeps people with disabilities out; WCAG 2.1 AA and more."""
        axe = resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
        # Not from the page's own world: its policy lets no other script in.
        self._command("Runtime.evaluate", expression=axe)
        run = "axe.run(document).then(found => found.violations)"
        ready = {"awaitPromise": True, "returnByValue": True}
        found = self._command("Runtime.evaluate", expression=run, **ready)
        return [
            f"{one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes']]}"
            for one in found["result"]["value"]
        ]

    def picture(self, *, whole: bool = True) -> bytes:
        """Take a picture: a PNG of the page, or of what is on the screen."""
        options: dict[str, Any] = {"captureBeyondViewport": whole}
        if whole:
            page = "document.documentElement"
            width, height = self.run(f"return [{page}.scrollWidth, {page}.scrollHeight]")
            options["clip"] = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        return base64.b64decode(self._command("Page.captureScreenshot", **options)["data"])

    def _command(self, name: str, **parameters: object) -> Any:
        return self.driver.execute_cdp_cmd(name, parameters)


# --- what it looks at ----------------------------------------------------------------------------


class Service:
    """The program of this folder, in a process of its own, that goes on when it is told to."""

    def __init__(self, process: Process) -> None:
        """Find out where it listens."""
        self.process = process
        self.url = f"http://{process.until(r'probes are answered at (.*)$')[1]}/"
        port = int(process.until(r"^> control at (\d+)$")[1])
        self._control = socket.create_connection(("127.0.0.1", port), GENEROUS)
        self._answers = self._control.makefile("rb")

    def tell(self, line: str) -> None:
        """Tell it something; it has heard it when this returns."""
        self._control.sendall(f"{line}\n".encode())
        assert self._answers.readline() == b"ok\n", self.process.output

    def close(self) -> None:
        """Hang up."""
        self._answers.close()
        self._control.close()


@contextlib.contextmanager
def service(address: str = "127.0.0.1:0") -> Iterator[Service]:
    """Run the service."""
    with running_program(__file__, "service", address) as process:
        running = Service(process)
        try:
            yield running
        finally:
            running.close()


class Pages:
    """A server of pages as they were written; what follows them stays silent."""

    def __init__(self) -> None:
        """It has none yet, and runs."""
        self.followers: set[object] = set()
        """Who follows a page at this moment."""
        self._pages: dict[str, bytes] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def add(self, name: str, document: bytes) -> str:
        """Take a page in, and give its URL."""
        self._pages[f"/{name}/"] = document
        return f"http://127.0.0.1:{self._server.server_port}/{name}/"

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        pages, followers = self._pages, self.followers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path in pages:
                    self._begin("text/html; charset=utf-8")
                    self.wfile.write(pages[self.path])
                elif self.path.endswith("/events"):
                    self._begin("text/event-stream")
                    followers.add(self)
                    with contextlib.suppress(ConnectionError):
                        self.rfile.read()  # until the browser hangs up, in whatever way
                    followers.discard(self)
                else:
                    self.send_error(404)

            def _begin(self, content_type: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Security-Policy", policy())
                self.end_headers()
                self.wfile.flush()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name
                """Say nothing."""

        return Handler
