"""What the tests of the page share: graphs, statuses, and reading what was written."""

from __future__ import annotations

import random
from html.parser import HTMLParser
from typing import Any

import attrs

from lifecycle.probes.page.graph import KINDS, Edge, Graph, Kind
from lifecycle.probes.page.view import View
from lifecycle.report import CheckResult, ComponentStatus, Status, Work
from lifecycle.states import Phase, State


def graph_of(size: int, *, seed: int = 0) -> Graph:
    """Make a graph as services have them: a root that many need, and near neighbours."""
    dice = random.Random(f"{size} {seed}")  # noqa: S311  the same each time
    edges: dict[tuple[int, int], Edge] = {}
    for target in range(1, size):
        for _ in range(dice.choice((0, 1, 1, 2, 2, 3))):
            source = max(0, target - 1 - int(dice.expovariate(1 / 15)))
            edges[source, target] = Edge(source, target, dice.choice(KINDS))
        if dice.random() < 0.5:
            edges[0, target] = Edge(0, target)
    return Graph(tuple(f"part{number}" for number in range(size)), tuple(edges.values()))


def edges(text: str) -> Graph:
    """Make a graph from lines such as ``a b wants``: b wants a. Order of start: as they come."""
    names: list[str] = []
    found: list[Edge] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        source, *rest = line.split()
        names += [name for name in (source, *rest[:1]) if name not in names]
        if rest:
            kind: Kind = "wants" if "wants" in rest else "after" if "after" in rest else "requires"
            found.append(Edge(names.index(source), names.index(rest[0]), kind))
    return Graph(tuple(names), tuple(found))


def view_of(graph: Graph, **changed: Any) -> View:
    """Make what is shown of a system with such a graph."""
    return View(
        **{"name": "shop", "graph": graph, "grace_period": 25.0, "delays": False, **changed}
    )


def component(name: str, state: State = State.READY, **changed: Any) -> ComponentStatus:
    """Make how a component stands, by default ready for 5 s."""
    return ComponentStatus(**{"name": name, "state": state, "since": 5.0, **changed})


def status_of(*components: ComponentStatus, **changed: Any) -> Status:
    """Make how a system stands, by default running and ready."""
    known = {one.name: one for one in components}
    fields = {"phase": Phase.RUNNING, "ready": True, "reason": None, "in_flight": ()}
    return Status(**{**fields, "components": known, **changed})


def check(name: str = "ping", *, ok: bool = True, **changed: Any) -> CheckResult:
    """Make what a check said 3 s ago."""
    return CheckResult(**{"component": "database", "name": name, "ok": ok, "age": 3.0, **changed})


def work(what: str, component: str | None = None, age: float = 2.0) -> Work:
    """Make a piece of work in flight."""
    return Work(what, component, age)


# --- reading -------------------------------------------------------------------------------------


@attrs.define
class Found:
    """An element that was written."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""
    """All text in it."""


class Read(HTMLParser):
    """Reads HTML, and finds in it what a browser would."""

    VOID = frozenset({"meta", "link", "path", "rect", "circle", "use", "line"})

    def __init__(self, markup: str | bytes) -> None:
        super().__init__()
        self.elements: list[Found] = []
        self._open: list[Found] = []
        self.feed(markup if isinstance(markup, str) else markup.decode())
        self.close()

    def all(self, tag: str, **attributes: str) -> list[Found]:
        """Find the elements with that tag and these attributes."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            found
            for found in self.elements
            if found.tag == tag and wanted.items() <= found.attributes.items()
        ]

    def one(self, tag: str, **attributes: str) -> Found:
        """Find the only one."""
        (found,) = self.all(tag, **attributes)
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = Found(tag, dict(attrs))
        self.elements.append(found)
        if tag not in self.VOID:
            self._open.append(found)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Found(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        closed = self._open.pop()
        assert closed.tag == tag, f"</{tag}> closes <{closed.tag}>"

    def handle_data(self, data: str) -> None:
        for found in self._open:
            found.text += data
