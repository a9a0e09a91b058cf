"""The whole page: one document, with its style and its script in it, and nothing from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.probes.page.assets import asset
from lifecycle.probes.page.drawing import drawing
from lifecycle.probes.page.graph import KINDS
from lifecycle.probes.page.headline import headline
from lifecycle.probes.page.markup import Markup, element, join
from lifecycle.probes.page.signs import icon
from lifecycle.probes.page.tables import components_table
from lifecycle.probes.page.view import WORK_HEADING, pictures

if TYPE_CHECKING:
    from lifecycle.probes.page.layout import Layout
    from lifecycle.probes.page.view import View
    from lifecycle.report import Status

_RELOAD = 5
"""Seconds after which a browser without JavaScript asks again."""
_LARGE = 1600
"""A picture that is higher than this, in pixels, is moved in its frame, and not with the page."""
_LINES = {
    "requires": "requires",
    "wants": "wants, and can do without",
    "after": "comes after",
}
_PROBES = ("status", "health", "ready", "startup")


def document(view: View, status: Status) -> bytes:
    """Write the page as it is now.

    A pure function that may take a while for a large graph: to be called in a worker thread.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="robots", content="noindex"),
        element("title", view.title(status)),
        element("link", rel="icon", href=icon(headline(status).tone)),
        element("noscript", element("meta", http_equiv="refresh", content=_RELOAD)),
        element("style", asset("page.css")),
    )
    body = element(
        "body",
        asset("signs.svg"),
        _header(view),
        _main(view, status),
        _footer(),
        element("p", view.spoken(status), class_="unseen", id="spoken", role="status"),
        element("script", asset("page.js")),
        data_digest=view.digest,
        data_events="events",
    )
    page = element("html", head, body, lang="en")
    return f"<!doctype html>\n{page}\n".encode()


def _header(view: View) -> Markup:
    noscript = element("noscript", f"reloads every {_RELOAD} s")
    return element(
        "header",
        element("h1", element("bdi", view.name)),
        element("p", noscript, id="link"),
    )


def _main(view: View, status: Status) -> Markup:
    parts = dict(view.parts(status))
    numbers = range(len(view.graph.names))
    boxes = {number: parts[f"box-{number}"] for number in numbers}
    rows = (parts[f"row-{number}"] for number in numbers)
    summary = element(
        "section",
        element("div", parts["headline"], data_part="headline", class_="headline"),
        element("dl", parts["facts"], data_part="facts"),
        element("ol", parts["steps"], data_part="steps", aria_label="Phases"),
        class_="summary",
        aria_label="Phase",
    )
    return element(
        "main",
        summary,
        _graph(view, boxes),
        _section("Components", "components-heading", components_table(rows, "components-heading")),
        _section("Work in flight", WORK_HEADING, element("div", parts["work"], data_part="work")),
    )


def _graph(view: View, boxes: dict[int, Markup]) -> Markup:
    drawn = pictures(view.graph)
    if not drawn:
        return Markup("")
    figures = (
        element(
            "div",
            drawing(view.graph, one, boxes, "tall" if one.downwards else "wide"),
            class_=_picture(one),
            tabindex="0",
            role="group",
            aria_label="Graph",
        )
        for one in drawn
    )
    return element(
        "section",
        element("h2", "Graph", id="graph-heading"),
        element("figure", *figures, _caption(view, drawn[0])),
        class_="graphs",
        aria_labelledby="graph-heading",
    )


def _picture(drawn: Layout) -> str:
    large = " large" if drawn.height > _LARGE else ""
    return f"picture {'tall' if drawn.downwards else 'wide'}{large}"


def _caption(view: View, drawn: Layout) -> Markup:
    kinds = {edge.kind for edge in view.graph.edges}
    lines = (
        element(
            "li",
            element(
                "svg",
                element("line", x1=0, y1=4, x2=28, y2=4),
                class_=f"edge {kind}",
                width=28,
                height=8,
                aria_hidden="true",
            ),
            _LINES[kind],
        )
        for kind in KINDS
        if kind in kinds
    )
    left_out = "What follows from other lines is left out." if drawn.reduced else ""
    order = join(
        (
            "What is needed comes first: components start from ",
            element("span", "left to right", class_="wide"),
            element("span", "top to bottom", class_="tall"),
            ", and end the other way round. ",
            left_out,
        )
    )
    return element(
        "figcaption", element("ul", *lines, class_="legend") if kinds else "", element("p", order)
    )


def _section(title: str, heading: str, content: Markup) -> Markup:
    return element("section", element("h2", title, id=heading), content, aria_labelledby=heading)


def _footer() -> Markup:
    links = join(element("li", element("a", f"/{name}", href=name)) for name in _PROBES)
    return element("footer", element("nav", element("ul", links), aria_label="Probes"))
