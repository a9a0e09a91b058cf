"""What is in the page, and what is not."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

import attrs
import pytest

from lifecycle.probes.page.assets import asset, policy
from lifecycle.probes.page.document import document
from lifecycle.probes.page.layout import MOST
from lifecycle.probes.page.tables import MOST_WORK
from lifecycle.states import Outcome, Phase, State
from tests.edges.page.kit import (
    Read,
    check,
    component,
    edges,
    graph_of,
    status_of,
    view_of,
    work,
)

if TYPE_CHECKING:
    from lifecycle.report import Status

SHOP = edges(
    """
    config database
    config cache
    database api
    cache api wants
    database packing
    packing web after
    api web
    """
)
STATUS = status_of(
    component("config", start_time=0.0),
    component("database", checks=(check(),), start_time=0.107),
    component("cache", State.FAILED, error="ConnectionError", optional=True),
    component("api", start_time=0.278),
    component("packing", unavailable="no broker"),
    component("web"),
    ready=False,
    in_flight=(work("order 17", "packing", 14.2), work("backup", None, 2.1)),
)
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "]]></style></script><svg onload=alert(1)>",
    "&lt;b&gt; & ' `${1}`",
    "\u202ereversed",
    "\x00\x1b[31m\ud800",
]


def read(status: Status = STATUS, **changed: object) -> Read:
    """Read the page of the shop."""
    return Read(document(view_of(SHOP, **changed), status))


def cells(page: Read, number: int) -> list[str]:
    """Read a row of the table of components: words, each cell's in one text."""
    names = {f"component-{number}", f"component-{number + 1}"}
    begin, end = (
        next((i for i, one in enumerate(page.elements) if one.attributes.get("id") == name), None)
        for name in sorted(names, key=lambda name: int(name.partition("-")[2]))
    )
    row = page.elements[begin:end]
    return [one.text for one in row if one.attributes.get("role") in ("rowheader", "cell")]


def test_the_table_says_everything() -> None:
    """State, since when, its check, how long it took to start, and what it needs."""
    page = read()

    none = "\N{EN DASH}none"
    assert cells(page, 0)[:6] == ["config ", "ready", "5 s", none, "0 s", none]
    assert cells(page, 1) == ["database ", "ready", "5 s", "ping ok, 3 s ago", "0.11 s", "config"]
    assert cells(page, 2) == [
        "cache optional",
        "failedConnectionError",
        "5 s",
        none,
        none,
        "config",
    ]
    assert cells(page, 3)[5] == "database, wants cache"
    assert cells(page, 4)[1] == "unavailableready, but says: no broker"
    assert cells(page, 5)[5] == "api, after packing"


def test_the_picture_says_the_same() -> None:
    """Each box has name, state, since when, and what else there is to say in a line."""
    page = read()

    picture = page.all("svg", role="img")[0].text
    assert "databaseready · 5 sstart 0.11 s · check okdatabase" in picture
    assert "cachefailed · 5 sConnectionErrorcache" in picture
    assert "packingunavailable · 5 sno brokerpacking" in picture
    kinds = [one.attributes["class"] for one in page.all("g") if "data-from" in one.attributes]
    assert [kinds.count(f"edge {kind}") for kind in ("requires", "wants", "after")] == [10, 2, 2]


def test_the_system_as_a_whole() -> None:
    """Phase, how far it is, what is in flight and for how long, and the grace period."""
    page = read()

    assert "Running, not ready" == page.all("h2")[0].text
    assert ["Components", "In flight", "Grace period"] == [one.text for one in page.all("dt")]
    assert ["5 of 6 ready", "1 failed", "2", "oldest 14 s", "25 s"] == [
        one.text for one in page.all("dd")
    ]
    assert "running" == page.one("li", aria_current="step").text
    assert "Running, not ready · shop" == page.all("title")[0].text
    assert "shop: running." == page.one("p", id="spoken").text


def test_a_shutdown() -> None:
    """Why, how much time is left of how much, and whose work is waited for."""
    draining = attrs.evolve(STATUS, phase=Phase.DRAINING, reason="received SIGTERM", time_left=18.3)
    page = read(draining)

    assert "18 s left of 25 s" in [one.text for one in page.all("dd")]
    bar = page.one("progress")
    assert ("25.0", "18.3") == (f"{float(bar.attributes['max'] or 0)}", bar.attributes["value"])
    assert "1 in flight" in page.all("svg", role="img")[0].text
    assert "shop: draining. Reason: received SIGTERM." == page.one("p", id="spoken").text


def test_the_end() -> None:
    """How it went; no time is left to be counted, and nobody has to hurry any more."""
    ended = attrs.evolve(
        STATUS, phase=Phase.CLOSING, time_left=9.0, outcome=Outcome.INCOMPLETE, exit_code=75
    )
    page = read(ended)

    spoken = "shop: closed. Not everything could be finished; exit code 75."
    assert spoken == page.one("p", id="spoken").text
    assert [] == page.all("progress")
    assert "closed" == page.one("li", aria_current="step").text


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_that_is_shown_becomes_markup(name: str) -> None:
    """Names, reasons, work and what errors are called: whatever they hold is text."""
    graph = attrs.evolve(SHOP, names=(name, *SHOP.names[1:]))
    hostile = status_of(
        component(name, unavailable=name, checks=(check(name, ok=False, error=name),)),
        component("database", State.FAILED, error=name),
        component("cache", State.PENDING, waits_for=(name,)),
        *(component(other) for other in SHOP.names[3:]),
        phase=Phase.DELAYING,
        ready=False,
        reason=name,
        in_flight=(work(name, name),),
    )
    harmless = Read(document(view_of(SHOP), status_of(*map(component, SHOP.names))))

    page = Read(document(view_of(graph, name=name), hostile))

    known = {one.tag for one in harmless.elements} | {"progress"}
    assert {one.tag for one in page.elements} <= known
    assert [] == [
        attribute for one in page.elements for attribute in one.attributes if attribute[:2] == "on"
    ]
    assert 1 == len(page.all("script"))
    assert [] == [one for one in page.elements if "style" in one.attributes]


def test_nothing_comes_from_elsewhere() -> None:
    """No address in the page leads away from the server, and the policy would not let it."""
    page = read()

    addresses = [
        value
        for one in page.elements
        for name, value in one.attributes.items()
        if name in ("href", "src", "action", "xlink:href")
    ]
    inside = re.compile(r"#sign-[a-z]+|data:image/svg\+xml,.*|status|health|ready|startup")
    assert [] == [address for address in addresses if not inside.fullmatch(address or "")]
    assert "http:" not in asset("page.css") + asset("page.js")
    assert "url(" not in asset("page.css")


def test_the_policy_lets_in_what_is_in_the_page_and_nothing_else() -> None:
    """Style and script are named by their hashes, as they stand in the page."""
    rules = dict(rule.split(" ", 1) for rule in policy().split("; "))
    page = read()

    def hashed(text: str) -> str:
        digest = hashlib.sha256(text.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    assert rules.pop("style-src") == hashed(page.one("style").text)
    assert rules.pop("script-src") == hashed(page.one("script").text)
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def test_no_identity_is_used_twice() -> None:
    """What refers to an element of the page finds one, and one only."""
    page = read()
    identities = [one.attributes["id"] for one in page.elements if "id" in one.attributes]

    referred = [
        target
        for one in page.elements
        for name in ("aria-labelledby", "aria-describedby")
        for target in (one.attributes.get(name) or "").split()
    ]

    assert len(identities) == len(set(identities))
    assert set(referred) <= set(identities)


def test_it_works_without_javascript() -> None:
    """The page is whole as it is, and the browser asks for it again by itself."""
    page = read()

    assert "5" == page.one("meta", http_equiv="refresh").attributes["content"]
    assert "reloads every 5 s" == page.one("p", id="link").text


def test_much_work_is_counted() -> None:
    """The oldest pieces are listed; a service that has thousands does not make a page of them."""
    many = tuple(work(f"job {number}", "packing", float(number)) for number in range(1000))
    page = read(attrs.evolve(STATUS, in_flight=many))

    jobs = [one.text for one in page.all("th", scope="row") if one.text.startswith("job ")]
    assert [f"job {number}" for number in range(999, 999 - MOST_WORK, -1)] == jobs
    assert f"and {1000 - MOST_WORK} more" in [one.text for one in page.all("p", class_="quiet")]


def test_a_graph_that_is_too_large_for_a_picture() -> None:
    """The table has it all; up to then there is a picture of it, on a phone the wide one."""
    small, large = graph_of(MOST), graph_of(MOST + 1)
    pages = [
        Read(document(view_of(graph), status_of(*map(component, graph.names))))
        for graph in (small, large)
    ]

    assert [1, 0] == [len(page.all("svg", role="img")) for page in pages]
    assert [MOST, MOST + 1] == [
        len([one for one in page.all("tr") if "id" in one.attributes]) for page in pages
    ]


def test_a_system_without_components() -> None:
    """There is nothing to draw, and that is no fault."""
    page = Read(document(view_of(edges("")), status_of()))

    assert "0 of 0 ready" == page.all("dd")[0].text
    assert [] == page.all("svg", role="img")
