"""How the page looks: on a phone and on a desk, in the light and in the dark, and to a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lifecycle.probes.page.document import document
from lifecycle.probes.page.words import age
from lifecycle.states import Phase, State
from tests.browser.kit import DESKTOP, PHONE
from tests.edges.page.kit import (
    check,
    component,
    edges,
    graph_of,
    status_of,
    view_of,
    work,
)

if TYPE_CHECKING:
    from lifecycle.probes.page.graph import Graph
    from lifecycle.report import Status
    from tests.browser.kit import Browser, Pages

# Something in every state, with everything that can be said of it.
GRAPH = edges(
    """
    pending starting
    starting ready wants
    ready draining after
    pending drained
    drained stopping
    stopping stopped
    failed skipped
    stopped check
    skipped unavailable
    a.component.with.a.very-long-name.indeed
    """
)
STATES = {state.value: state for state in State}
STATUS = status_of(
    *(
        component(name, STATES.get(name, State.READY), time_left=9.0, start_time=0.2)
        for name in GRAPH.names
    ),
    component("failed", State.FAILED, error="OperationalError", optional=True),
    component("check", checks=(check(ok=False, error="timeout"), check("disk"))),
    component("unavailable", unavailable="the broker is gone, and nobody knows where to"),
    component("pending", State.PENDING, waits_for=("starting", "failed", "check", "skipped")),
    phase=Phase.DRAINING,
    ready=False,
    reason="received SIGTERM",
    time_left=17.2,
    in_flight=(work("GET /" + 40 * "long", "check"), work("backup")),
)

SCREENS = [(size, dark) for size in (DESKTOP, PHONE) for dark in (False, True)]
on_each_screen = pytest.mark.parametrize(
    ("size", "dark"), SCREENS, ids=["desktop", "desktop-dark", "phone", "phone-dark"]
)


def show(
    browser: Browser, pages: Pages, graph: Graph = GRAPH, status: Status = STATUS, name: str = "all"
) -> None:
    """Open a page of some status."""
    browser.open(pages.add(name, document(view_of(graph, delays=True), status)))


@on_each_screen
def test_it_keeps_nobody_out(
    browser: Browser, pages: Pages, size: tuple[int, int], *, dark: bool
) -> None:
    """axe-core finds no fault: contrast, names, roles, order of headings, and all else."""
    browser.look(size=size, dark=dark)
    show(browser, pages)

    assert [] == browser.complaints()
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert dark == (ground == "rgb(16, 19, 23)")
    assert [] == browser.problems()


@pytest.mark.parametrize("size", [DESKTOP, PHONE, (700, 900)], ids=["desktop", "phone", "tablet"])
@pytest.mark.parametrize("number", [1, 12, 60])
def test_nothing_sticks_out(
    browser: Browser, pages: Pages, number: int, size: tuple[int, int]
) -> None:
    """The page is as wide as the screen, however large the graph: that moves in its frame."""
    graph = graph_of(number)
    browser.look(size=size)
    show(browser, pages, graph, status_of(*map(component, graph.names)), f"wide-{number}")

    assert size[0] == browser.run("return document.documentElement.scrollWidth")


def test_on_a_phone_the_graph_reads_from_top_to_bottom(browser: Browser, pages: Pages) -> None:
    """A picture made for it takes the place of the wide one, and fits."""
    browser.look(size=PHONE)
    show(browser, pages)

    assert [False, True] == [one.is_displayed() for one in browser.all(".picture")]
    assert "from top to bottom" in browser.text("figcaption")
    picture = browser.all(".picture.tall")[0]
    assert picture.get_property("scrollWidth") == picture.get_property("clientWidth")
    assert [] == browser.run(STICKING_OUT)

    browser.look(size=DESKTOP)

    assert [True, False] == [one.is_displayed() for one in browser.all(".picture")]
    assert "from left to right" in browser.text("figcaption")
    assert [] == browser.run(STICKING_OUT)


STICKING_OUT = """
    const boxes = [...document.querySelectorAll("[data-component]")];
    return boxes.filter(box => box.getClientRects().length).flatMap(box => {
        const frame = box.querySelector(".frame").getBoundingClientRect();
        return [...box.querySelectorAll(".state, .detail")].filter(text =>
            text.getBoundingClientRect().right > frame.right
        ).map(text => text.textContent);
    });
"""
"""Finds what is written beyond the frame of its box."""


def test_what_a_screen_reader_is_told(browser: Browser, pages: Pages) -> None:
    """Landmarks, a heading for each section, tables of cells, and a picture that is one thing."""
    browser.look(size=PHONE)
    show(browser, pages)
    tree = browser.tree()

    roles = [role for role, _ in tree]
    landmarks = ("banner", "main", "contentinfo", "navigation")
    assert [1, 1, 1, 1] == [roles.count(role) for role in landmarks]
    assert ["shop", "Draining", "Graph", "Components", "Work in flight"] == [
        name for role, name in tree if role == "heading"
    ]
    assert ("image", f"Graph of {len(GRAPH.names)} components") in tree
    # The layout on a phone is no table's, and it is one all the same.
    assert 2 == roles.count("table")
    assert ("rowheader", "a.component.with.a.very-long-name.indeed") in tree
    assert 5 * len(GRAPH.names) + 2 * 2 == roles.count("cell")
    assert len(GRAPH.names) + 2 == roles.count("rowheader")


def test_with_the_keyboard(browser: Browser, pages: Pages) -> None:
    """What can be moved or followed can be reached, in order, and is seen to be chosen."""
    show(browser, pages)

    reached = [browser.tab() for _ in range(5)]

    assert ["Graph", "/status", "/health", "/ready", "/startup"] == [name for name, _ in reached]
    assert all(outline != "none" for _, outline in reached)


def test_only_who_likes_it_sees_things_move(browser: Browser, pages: Pages) -> None:
    """What is starting turns, unless a person has asked for no motion."""
    show(browser, pages)
    turning = "return document.getAnimations().length > 0"
    assert not browser.run(turning)

    browser.look(still=False)

    assert browser.run(turning)


def test_the_lines_of_a_component_that_is_pointed_at(browser: Browser, pages: Pages) -> None:
    """They stand out from the others as long as somebody points."""
    show(browser, pages)
    browser.point(".picture.wide [data-component='2']")

    near = browser.run(
        "return [...document.querySelectorAll('.wide .near')].map(one => one.dataset)"
    )
    assert [{"from": "2", "to": "3"}, {"from": "1", "to": "2"}] == near
    assert browser.all(".wide .graph.pointed")

    browser.point("h1")

    browser.until("no longer", lambda: not browser.all(".graph.pointed"))


def test_a_page_that_was_left_lets_go(browser: Browser, pages: Pages) -> None:
    """A browser keeps it to come back to, and few connections; who comes back follows again."""
    show(browser, pages, name="left")
    browser.until("it follows", lambda: len(pages.followers) == 1)

    browser.driver.get("about:blank")
    browser.until("nobody follows", lambda: not pages.followers)

    browser.driver.back()
    browser.until("it follows again", lambda: len(pages.followers) == 1)


def test_durations_are_written_alike(browser: Browser, pages: Pages) -> None:
    """The page counts on in the words of the server."""
    durations = [0.0, 0.5, 1, 59, 60, 61, 3598, 3600, 7325, 86398, 86400, 1e6]
    names = [f"part{number}" for number in range(len(durations))]
    ages = zip(names, durations, strict=True)
    status = status_of(*(component(name, since=since) for name, since in ages))
    show(browser, pages, edges("\n".join(names)), status, "ages")

    counted = browser.run(RECOUNT)

    # It counts from when it had read them, which on a busy machine is a while after it was opened.
    since_then = [counted["after"] * share / 1000 for share in range(1001)]
    assert counted["words"] in [[age(was + after) for was in durations] for after in since_then]


RECOUNT = """
    const ages = [...document.querySelectorAll("[data-label=For] [data-age]")];
    for (const one of ages) one.textContent = "";
    // It counts, and is looked at, at the same time; at no full second, whenever it was loaded.
    const now = Math.ceil(performance.now() / 1000) * 1000 + 250;
    performance.now = () => now;
    return new Promise(seen => new MutationObserver(() => seen({
        after: now / 1000,
        words: ages.map(one => one.textContent),
    })).observe(ages.at(-1), {childList: true}));
"""
"""Waits until the page has counted again; how long it has been open, and what it wrote."""
