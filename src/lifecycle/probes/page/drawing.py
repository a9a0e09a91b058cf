"""The graph as a picture: an SVG whose boxes can be written anew one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.probes.page.graph import KINDS
from lifecycle.probes.page.markup import Markup, element, join
from lifecycle.probes.page.standing import failing, standing
from lifecycle.probes.page.words import age, shortened, took
from lifecycle.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.probes.page.graph import Graph
    from lifecycle.probes.page.layout import Box, Layout, Line
    from lifecycle.report import ComponentStatus

WIDTH, HEIGHT = 168, 72
"""Of a box. Two stand beside each other on the narrowest phone."""
_LEFT, _NAME, _STATE, _DETAIL = 12, 22, 41, 59
"""Where the text begins, and the baselines of its lines."""
_INNER = WIDTH - _LEFT - 6
_NAME_LETTERS, _DETAIL_LETTERS = 17, 25
"""What fits into a line, in most fonts; where it does not, it is cut off at the edge."""
_PHONE = 450
"""A picture that is not wider than this is made to fit a phone; a wider one can be moved there."""
_TIP = 6
"""The length of an arrow's head."""


def drawing(graph: Graph, layout: Layout, components: dict[int, Markup], name: str) -> Markup:
    """Draw a graph.

    Args:
        graph: what is drawn.
        layout: where.
        components: what is in each box, as `box` writes it.
        name: an id for this picture, since there may be two of the same graph on a page.

    """
    number = len(graph.names)
    title = f"Graph of {number} component{'' if number == 1 else 's'}"
    way = "top to bottom" if layout.downwards else "left to right"
    told = f"What each needs stands before it, from {way}. The table of components says the same."
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", told, id=f"{name}-desc"),
        element("g", *(_edge(line, downwards=layout.downwards) for line in _ordered(layout))),
        *(_node(place, graph, components[place.component]) for place in layout.boxes),
        class_="graph fits" if layout.width <= _PHONE else "graph",
        role="img",
        aria_labelledby=f"{name}-title",
        aria_describedby=f"{name}-desc",
        viewBox=f"0 0 {layout.width:g} {layout.height:g}",
        width=layout.width,
        height=layout.height,
    )


def box(component: ComponentStatus, in_flight: int = 0) -> Markup:
    """Write what is in the box of a component: its frame, how it stands, and since when."""
    how = standing(component)
    since = element("tspan", age(component.since), data_age=round(component.since, 2))
    optional = " optional" if component.optional else ""
    return join(
        (
            element("rect", class_=f"frame {how.tone}{optional}", width=WIDTH, height=HEIGHT, rx=8),
            element(
                "g",
                element(
                    "use",
                    href=f"#sign-{how.shape}",
                    class_=f"sign {how.shape}",
                    x=_LEFT,
                    y=29,
                    width=14,
                    height=14,
                ),
                element(
                    "text",
                    element("tspan", how.word, class_="word"),
                    " · ",
                    since,
                    class_="state",
                    x=_LEFT + 19,
                    y=_STATE,
                ),
                class_=f"tone {how.tone}",
            ),
            element(
                "text",
                shortened(_detail(component, in_flight), _DETAIL_LETTERS),
                class_="detail",
                x=_LEFT,
                y=_DETAIL,
            ),
        )
    )


def _detail(component: ComponentStatus, in_flight: int) -> str:
    """What is worth knowing besides, in one line."""
    if in_flight:
        return f"{in_flight} in flight"
    if component.error is not None:
        return component.error
    if component.unavailable is not None:
        return component.unavailable
    check = failing(component)
    if check is not None:
        return f"{check.name}: {check.error}"
    if component.state in (State.PENDING, State.STARTING):
        return _waits_for(component.waits_for)
    parts = [] if component.start_time is None else [f"start {took(component.start_time)}"]
    parts += ["check ok"] if component.checks else []
    return " · ".join(parts)


def _waits_for(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    return f"waits for {names[0] if len(names) == 1 else f'{len(names)} components'}"


def _node(place: Box, graph: Graph, inner: Markup) -> Markup:
    """A box: what changes is replaced as a whole, its name stays."""
    name = graph.names[place.component]
    return element(
        "g",
        element("title", name),
        element("g", inner, data_part=f"box-{place.component}"),
        # A picture in the picture cuts off what is too long.
        element(
            "svg",
            element("text", shortened(name, _NAME_LETTERS), class_="name", x=0, y=_NAME),
            x=_LEFT,
            y=0,
            width=_INNER,
            height=HEIGHT,
        ),
        transform=f"translate({place.x:g} {place.y:g})",
        data_component=place.component,
    )


def _ordered(layout: Layout) -> Iterator[Line]:
    """The weakest first, so that the stronger lie above them."""
    for kind in reversed(KINDS):
        yield from (line for line in layout.lines if line.edge.kind == kind)


def _edge(line: Line, *, downwards: bool) -> Markup:
    x, y = line.points[-1]
    sides = (
        ((-_TIP / 2, -_TIP), (_TIP / 2, -_TIP))
        if downwards
        else ((-_TIP, -_TIP / 2), (-_TIP, _TIP / 2))
    )
    (left, above), (right, below) = sides
    tip = f"M{x + left:g} {y + above:g}L{x:g} {y:g}L{x + right:g} {y + below:g}"
    return element(
        "g",
        element("path", class_="way", d=_path(line, downwards=downwards)),
        element("path", class_="tip", d=tip),
        class_=f"edge {line.edge.kind}",
        data_from=line.edge.source,
        data_to=line.edge.target,
    )


def _path(line: Line, *, downwards: bool) -> str:
    (x, y), *others = line.points
    parts = [f"M{x:g} {y:g}"]
    for number, (next_x, next_y) in enumerate(others):
        if number % 2:
            parts.append(f"L{next_x:g} {next_y:g}")
        elif downwards:
            middle = (y + next_y) / 2
            parts.append(f"C{x:g} {middle:g} {next_x:g} {middle:g} {next_x:g} {next_y:g}")
        else:
            middle = (x + next_x) / 2
            parts.append(f"C{middle:g} {y:g} {middle:g} {next_y:g} {next_x:g} {next_y:g}")
        x, y = next_x, next_y
    return "".join(parts)
