"""A person watches a real service through its whole life, in a real browser."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import httpx

from tests.browser.kit import service
from tests.e2e.kit import GENEROUS

if TYPE_CHECKING:
    from tests.browser.kit import Browser, Service

RECORD = """
    window.heard = [spoken.textContent];
    new MutationObserver(() => heard.push(spoken.textContent))
        .observe(spoken, {childList: true, characterData: true, subtree: true});
"""
"""Notes what a screen reader reads out."""


def probe(service: Service) -> int:
    """Ask whether the service is ready, as a kubelet does."""
    return httpx.get(f"{service.url}ready", trust_env=False, timeout=GENEROUS).status_code


def test_a_whole_life(browser: Browser) -> None:
    """Preflight, starting, ready, not ready, degraded, delaying, draining, closing, and the end.

    The page is opened once, and never again: it follows by itself.
    """
    with service() as shop:
        browser.open(shop.url)
        browser.headline("Preflight")
        browser.until("live", lambda: browser.text("#link") == "live")
        browser.run(RECORD)

        watch_it_start(browser, shop)
        watch_it_falter(browser, shop)
        watch_it_shut_down(browser, shop)

        assert browser.run("return heard") == [
            "shop: preflight.",
            "shop: starting.",
            "shop: running.",
            "shop: delaying. Reason: received SIGTERM.",
            "shop: draining. Reason: received SIGTERM.",
            "shop: closing. Reason: received SIGTERM.",
            "shop: closed. Everything ended as it should; exit code 0. Reason: received SIGTERM.",
        ]
        refused = "net::ERR_CONNECTION_REFUSED"
        assert [] == [one for one in browser.problems() if refused not in one]


def watch_it_start(browser: Browser, shop: Service) -> None:
    """Who starts, who waits for whom, and how long it may take and took."""
    shop.tell("let preflight pass")
    browser.headline("Starting")
    browser.state("config", "ready")
    browser.until("time left", lambda: "left for it" in browser.row("database")["State"])
    assert browser.row("database")["State"].startswith("starting\n")
    assert browser.row("packing")["State"] == "pending\nwaits for database"
    assert browser.row("web")["Needs"] == "api, after packing"
    assert browser.driver.title == "Starting · shop"

    shop.tell("let database start")
    browser.headline("Running")
    assert browser.text(".headline p") == "Every component is ready, and work is taken."
    assert browser.text("dd") == "6 of 6 ready"
    assert browser.row("database")["Start took"].endswith(" s")


def watch_it_falter(browser: Browser, shop: Service) -> None:
    """Checks that pass and fail, a component that says that it is gone, and one that crashes."""
    assert probe(shop) == 200
    browser.until("a check", lambda: browser.row("database")["Check"].startswith("ping ok"))
    shop.tell("ping fails")
    assert probe(shop) == 503
    browser.headline("Running, not ready")
    assert "ping fails: returned False" in browser.row("database")["Check"]
    assert "check fails · " in browser.text("svg.graph")
    shop.tell("ping works")
    assert probe(shop) == 200
    browser.headline("Running")

    shop.tell("unavailable the broker is gone")
    browser.headline("Running, not ready")
    assert "ready, but says: the broker is gone" in browser.row("packing")["State"]
    shop.tell("available")
    browser.headline("Running")

    shop.tell("let tracing crash")
    browser.headline("Running, degraded")
    assert browser.row("tracing")["State"] == "failed\nConnectionError"
    assert "10.0.0.1" not in browser.driver.page_source


def watch_it_shut_down(browser: Browser, shop: Service) -> None:
    """What is in flight, how much time is left, who stops when, and how it ended."""
    shop.tell("let packing take an order")
    browser.until("work", lambda: "order 17" in browser.text("[data-part=work]"))

    shop.process.send(signal.SIGTERM)
    browser.headline("Delaying")
    browser.headline("Draining")
    assert browser.text(".headline").endswith("Reason: received SIGTERM")
    browser.until("whose work", lambda: "1 in flight" in browser.text("svg.graph"))
    seconds = "return document.querySelector('progress').value"
    left = browser.run(seconds)
    browser.until("time passes", lambda: browser.run(seconds) <= left - 2)
    assert browser.text("dl div:last-child dd").endswith("s left of 40 s")

    shop.tell("let packing finish")
    browser.headline("Closing")
    browser.until("the stop", lambda: browser.row("database")["State"].startswith("stopping"))
    assert browser.row("web")["State"] == "stopped"

    shop.tell("let database stop")
    over = "closed: clean, exit code 0"
    browser.until(over, lambda: browser.text("#link") == over)
    assert shop.process.wait() == 0
    assert browser.text("main h2") == "Closed"
    assert browser.row("database")["State"] == "stopped"


def test_a_service_that_is_gone_and_comes_back(browser: Browser) -> None:
    """The page says that nobody answers, keeps the last picture, and goes on with the next run."""
    with service() as first:
        for step in ("preflight pass", "database start"):
            first.tell(f"let {step}")
        browser.open(first.url)
        browser.headline("Running")
        browser.until("live", lambda: browser.text("#link") == "live")
        browser.run("window.same = true")
        first.process.kill()
        browser.until("lost", lambda: "connection lost since" in browser.text("#link"))
        assert browser.run("return spoken.textContent") == browser.text("#link")
        assert browser.text("main h2") == "Running"
        ages = [cell.text for cell in browser.all("td[data-label=For]")]

        with service(first.url.removeprefix("http://").rstrip("/")) as second:
            browser.headline("Preflight")
            assert browser.text("#link") == "live"
            assert browser.run("return window.same"), "it did not have to load the page again"
            assert len(ages) == len(browser.all("td[data-label=For]"))
            second.tell("let preflight pass")
            browser.headline("Starting")


def test_without_javascript(browser: Browser) -> None:
    """The page is whole, and comes again by itself every few seconds."""
    with service() as shop, browser.without_javascript():
        browser.open(shop.url)
        browser.headline("Preflight")
        # Not `text`: Selenium takes what stands in a `noscript` for hidden, whatever is drawn.
        assert browser.run("return link.innerText") == "reloads every 5 s"
        # It may come again while its cells are read, one by one.
        browser.until("pending", lambda: browser.row("database")["State"].startswith("pending"))

        shop.tell("let preflight pass")
        browser.headline("Starting")
