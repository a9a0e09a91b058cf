"""The same as the picture, in words: a table of the components, and one of the work in flight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.probes.page.graph import KINDS
from lifecycle.probes.page.markup import Markup, element, join
from lifecycle.probes.page.signs import sign
from lifecycle.probes.page.standing import standing
from lifecycle.probes.page.words import age, took

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lifecycle.probes.page.graph import Edge, Graph
    from lifecycle.report import CheckResult, ComponentStatus, Work

MOST_WORK = 20
"""Pieces of work that are listed, the oldest first; the others are counted."""
_COMPONENT_COLUMNS = ("Component", "State", "For", "Check", "Start took", "Needs")
_WORK_COLUMNS = ("Work", "Component", "For")
_NONE = join(
    (element("span", "\N{EN DASH}", aria_hidden="true"), element("span", "none", class_="unseen"))
)


def components_table(rows: Iterable[Markup], labelled_by: str) -> Markup:
    """Write the table of components; its rows are written by `row`, and replaced one by one."""
    written = (
        element("tr", cells, role="row", id=f"component-{number}", data_part=f"row-{number}")
        for number, cells in enumerate(rows)
    )
    return _table(_COMPONENT_COLUMNS, written, labelled_by)


def row(component: ComponentStatus, needs: Markup) -> Markup:
    """Write the cells of one component.

    Args:
        component: how it stands.
        needs: what it needs, as `needs` writes it.

    """
    how = standing(component)
    optional = element("span", "optional", class_="tag") if component.optional else ""
    state = join(
        (
            element("span", sign(how.shape), how.word, class_=f"tone {how.tone}"),
            element("span", how.note, class_="note") if how.note else "",
            _time_left(component),
        )
    )
    start = "" if component.start_time is None else took(component.start_time)
    return join(
        (
            element(
                "th",
                element("bdi", component.name, class_="name"),
                " ",
                optional,
                scope="row",
                role="rowheader",
            ),
            _cell("State", state),
            _cell("For", element("span", age(component.since), data_age=component.since)),
            _cell("Check", join(map(_check, component.checks)) or _NONE),
            _cell("Start took", start or _NONE),
            _cell("Needs", needs or _NONE),
        )
    )


def needs(graph: Graph) -> tuple[Markup, ...]:
    """Write what each component needs, the kinds other than `requires` named."""
    edges: list[list[Edge]] = [[] for _ in graph.names]
    for edge in graph.edges:
        edges[edge.target].append(edge)
    return tuple(
        _needs(graph, sorted(those, key=lambda edge: KINDS.index(edge.kind))) for those in edges
    )


def work_table(work: Sequence[Work], labelled_by: str) -> Markup:
    """Write the table of what is in flight."""
    if not work:
        return element("p", "Nothing is in flight.", class_="quiet")
    oldest = sorted(work, key=lambda one: -one.age)[:MOST_WORK]
    rows = (
        element(
            "tr",
            element("th", element("bdi", one.what), scope="row", role="rowheader"),
            _cell(
                "Component",
                element("bdi", one.component, class_="name") if one.component else _NONE,
            ),
            _cell("For", element("span", age(one.age), data_age=one.age)),
            role="row",
        )
        for one in oldest
    )
    table = _table(_WORK_COLUMNS, rows, labelled_by)
    more = len(work) - len(oldest)
    return join((table, element("p", f"and {more} more", class_="quiet") if more else ""))


def _time_left(component: ComponentStatus) -> str:
    if component.time_left is None:
        return ""
    left = element("span", age(component.time_left), data_left=component.time_left)
    return element("span", left, " left for it", class_="note")


def _needs(graph: Graph, edges: Iterable[Edge]) -> Markup:
    parts: list[Markup] = []
    for edge in edges:
        separator = ", " if parts else ""
        word = "" if edge.kind == "requires" else f"{edge.kind} "
        name = element("bdi", graph.names[edge.source], class_="name")
        parts.append(join((separator, word, name)))
    return join(parts)


def _check(check: CheckResult) -> Markup:
    said = "ok" if check.ok else f"fails: {check.message or check.error}"
    return element(
        "span",
        sign("ready" if check.ok else "warning"),
        element("bdi", check.name),
        f" {said}",
        element(
            "span", ", ", element("span", age(check.age), data_age=check.age), " ago", class_="ago"
        ),
        class_=f"check tone {'good' if check.ok else 'warn'}",
    )


def _cell(label: str, content: str) -> Markup:
    nothing = "nothing" if content is _NONE else None
    return element("td", element("div", content), role="cell", data_label=label, class_=nothing)


def _table(columns: Sequence[str], rows: Iterable[Markup], labelled_by: str) -> Markup:
    # The roles are said, since a browser forgets them where the layout on a phone is no table's.
    heads = (element("th", one, scope="col", role="columnheader") for one in columns)
    return element(
        "table",
        element("thead", element("tr", *heads, role="row"), role="rowgroup"),
        element("tbody", *rows, role="rowgroup"),
        role="table",
        aria_labelledby=labelled_by,
    )
