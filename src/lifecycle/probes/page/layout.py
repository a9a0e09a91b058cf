"""Where everything in the picture of a graph is, in pixels; nothing of how it looks.

The picture reads in one direction: what is needed stands before who needs it, so that components
start from left to right and end from right to left. Parts of the graph that nothing ties together
stand one below the other, and components that no edge touches in rows at the end. The same graph
can be drawn from top to bottom, for a narrow screen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lifecycle.probes.page.columns import bends_of, columns_of, connected
from lifecycle.probes.page.crossings import ordered
from lifecycle.probes.page.places import Rooms, places

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lifecycle.probes.page.graph import Edge, Graph

MOST = 500
"""Components that are drawn at most. A larger graph is no picture any more."""
_MOST_BENDS = 2_000
"""Beyond it, edges that follow from others are left out; and if that is not enough, the picture."""
_ROW = 5
"""How many components that no edge touches stand in a row at least."""


@attrs.frozen
class Sizes:
    """The sizes of what is in the picture, in pixels."""

    width: float = 172
    """Of a box."""
    height: float = 52
    between: float = 14
    """What is free between two boxes of one column, or row."""
    step: float = 56
    """What is free between two columns, or rows: there the lines bend."""
    bend: float = 4
    """How much room a line that passes a column takes."""
    margin: float = 4
    """Around it all: outlines stick out a little."""
    downwards: bool = False
    """Whether it reads from top to bottom instead of from left to right."""
    most: int | None = None
    """How many boxes may stand in one column, or row; None: as many as it takes."""


@attrs.frozen
class Box:
    """Where a component is: the upper left corner, and the size."""

    component: int
    x: float
    y: float
    width: float
    height: float


@attrs.frozen
class Line:
    """The way of an edge: straight through a column, in a curve from one to the next.

    Points come in pairs: from the second of a pair to the first of the next it is a curve, from the
    first of a pair to its second it is straight. It begins at its source's box and ends at its
    target's.
    """

    edge: Edge
    points: tuple[tuple[float, float], ...]


@attrs.frozen
class Layout:
    """The whole picture."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    """In the order of the components."""
    lines: tuple[Line, ...]
    downwards: bool = False
    reduced: bool = False
    """Whether edges that follow from others were left out."""


def layout(graph: Graph, sizes: Sizes) -> Layout | None:
    """Lay a graph out; None where it is too large for a picture.

    It takes some milliseconds for a dozen components, and up to about a second for the largest.
    """
    if len(graph.names) > MOST or not graph.names:
        return None
    reduced = bends_of(graph, sizes.most) > _MOST_BENDS
    if reduced:
        graph = graph.reduced()
        if bends_of(graph, sizes.most) > _MOST_BENDS:
            return None
    parts = connected(graph)
    pieces = [_piece(graph, part, sizes) for part in parts if len(part) > 1]
    alone = [part[0] for part in parts if len(part) == 1]
    if alone:
        pieces.append(_rows(alone, sizes, max((piece.width for piece in pieces), default=0.0)))
    return attrs.evolve(_stacked(pieces, sizes), reduced=reduced)


@attrs.frozen
class _Axes:
    """From places along and across the direction of reading to places in the picture."""

    sizes: Sizes

    @property
    def along(self) -> float:
        return self.sizes.height if self.sizes.downwards else self.sizes.width

    @property
    def across(self) -> float:
        return self.sizes.width if self.sizes.downwards else self.sizes.height

    def point(self, along: float, across: float) -> tuple[float, float]:
        return (across, along) if self.sizes.downwards else (along, across)

    def box(self, component: int, along: float, across: float) -> Box:
        x, y = self.point(along, across - self.across / 2)
        return Box(component, x, y, self.sizes.width, self.sizes.height)


def _piece(graph: Graph, members: Sequence[int], sizes: Sizes) -> Layout:
    """Lay out components that hang together."""
    axes = _Axes(sizes)
    drawn = columns_of(graph, members, sizes.most)
    order = ordered(drawn)
    rooms = Rooms(axes.across, sizes.bend, sizes.between, tight=sizes.most is not None)
    across = {point: round(at, 1) for point, at in places(drawn, order, rooms).items()}
    pitch = axes.along + sizes.step
    column_of = {point: number for number, column in enumerate(order) for point in column}
    boxes = tuple(axes.box(member, column_of[member] * pitch, across[member]) for member in members)
    lines = tuple(
        Line(edge, tuple(_way(way, axes, column_of[edge.source], across)))
        for edge, way in drawn.routes
    )
    return _measured(boxes, lines)


def _way(
    way: Sequence[int], axes: _Axes, column: int, across: dict[int, float]
) -> Iterator[tuple[float, float]]:
    pitch = axes.along + axes.sizes.step
    last = len(way) - 1
    for number, point in enumerate(way):
        begin = (column + number) * pitch
        if number > 0:
            yield axes.point(begin, across[point])
        if number < last:
            yield axes.point(begin + axes.along, across[point])


def _rows(alone: Sequence[int], sizes: Sizes, width: float) -> Layout:
    """Put components that no edge touches into rows, about as wide as the rest, or a square."""
    pitch = sizes.width + sizes.between
    square = round((len(alone) / 3) ** 0.5)
    in_a_row = sizes.most or max(_ROW, square, int((width + sizes.between) / pitch))
    boxes = tuple(
        Box(
            component,
            number % in_a_row * pitch,
            number // in_a_row * (sizes.height + sizes.between),
            sizes.width,
            sizes.height,
        )
        for number, component in enumerate(alone)
    )
    return _measured(boxes, ())


def _measured(boxes: tuple[Box, ...], lines: tuple[Line, ...]) -> Layout:
    points = [point for line in lines for point in line.points]
    points += [(box.x + box.width, box.y + box.height) for box in boxes]
    return Layout(max(x for x, _ in points), max(y for _, y in points), boxes, lines)


def _stacked(pieces: Sequence[Layout], sizes: Sizes) -> Layout:
    """Put pieces one below the other."""
    boxes: list[Box] = []
    lines: list[Line] = []
    x, y = sizes.margin, sizes.margin
    for piece in pieces:
        boxes += [attrs.evolve(box, x=box.x + x, y=box.y + y) for box in piece.boxes]
        lines += [
            attrs.evolve(line, points=tuple((px + x, py + y) for px, py in line.points))
            for line in piece.lines
        ]
        y += piece.height + 2 * sizes.between
    boxes.sort(key=lambda box: box.component)
    width = max(piece.width for piece in pieces) + 2 * sizes.margin
    height = y - 2 * sizes.between + sizes.margin
    return Layout(width, height, tuple(boxes), tuple(lines), sizes.downwards)
