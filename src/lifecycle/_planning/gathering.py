"""Everything that a registry holds, with what it includes, in the order of registration.

A registry that is reached by two paths is one, and has one prefix. The changes of a changed copy
concern what is reached through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lifecycle._core.declaration import Declaration, Inclusion, Where
from lifecycle._planning import changes
from lifecycle._planning.changes import Gathered
from lifecycle._planning.names import Entry, joined
from lifecycle.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle._core.declaration import Contents, Item
    from lifecycle._planning.problems import Problems
    from lifecycle._planning.reading import Readings


class _Visit(NamedTuple):
    """A registry that is being gone through."""

    inclusion: Inclusion
    scope: str
    into: Gathered
    """What is found; the same object for all but the originals of changed copies."""
    seen: dict[Contents, tuple[str, Inclusion]]
    """What was reached already, under which prefix; changed copies have their own view."""
    items: Iterator[Item]


def gather(contents: Contents, readings: Readings, problems: Problems) -> Gathered:
    """Go through a registry and all that it includes."""
    return _Walk(readings, problems).through(contents)


class _Walk:
    def __init__(self, readings: Readings, problems: Problems) -> None:
        self._readings = readings
        self._problems = problems
        self._visits: list[_Visit] = []
        self._open: set[Contents] = set()

    def through(self, contents: Contents) -> Gathered:
        found = Gathered()
        self._enter(Inclusion(contents, Where()), "", found, {})
        while self._visits:
            visit = self._visits[-1]
            item = next(visit.items, None)
            if item is None:
                self._leave()
            elif isinstance(item, Inclusion):
                self._include(item, visit)
            elif isinstance(item, Declaration):
                name = joined(visit.scope, str(item.name))
                visit.into.entries.append(Entry(item, name, visit.scope))
            else:
                visit.into.checks.append(item)
        return found

    def _include(self, inclusion: Inclusion, visit: _Visit) -> None:
        contents, scope = inclusion.contents, joined(visit.scope, inclusion.prefix)
        if contents in self._open:
            self._problems.add(DefinitionError(self._circle(contents)))
            return
        if inclusion.change is not None:
            self._enter(inclusion, scope, Gathered(), {})
            return
        if contents not in visit.seen:
            self._enter(inclusion, scope, visit.into, visit.seen)
            return
        first_scope, first = visit.seen[contents]
        if first_scope != scope:
            place = self._problems.place
            self._problems.add(
                DefinitionError(
                    two_prefixes(
                        contents.name,
                        f"{first_scope!r} at {place(first.where)}",
                        f"{scope!r} at {place(inclusion.where)}",
                    )
                )
            )

    def _enter(
        self,
        inclusion: Inclusion,
        scope: str,
        into: Gathered,
        seen: dict[Contents, tuple[str, Inclusion]],
    ) -> None:
        contents = inclusion.contents
        seen[contents] = (scope, inclusion)
        self._open.add(contents)
        self._visits.append(_Visit(inclusion, scope, into, seen, iter(tuple(contents.items))))

    def _leave(self) -> None:
        left = self._visits.pop()
        self._open.remove(left.inclusion.contents)
        if left.inclusion.change is None:
            return
        changes.change(left.into, left.inclusion, left.scope, self._readings, self._problems)
        into = self._visits[-1].into
        into.entries.extend(left.into.entries)
        into.checks.extend(left.into.checks)
        into.gone.extend(left.into.gone)

    def _circle(self, contents: Contents) -> str:
        path = [visit.inclusion.contents for visit in self._visits]
        names = [registry.name for registry in path[path.index(contents) :]]
        return f"registries include each other in a circle: {' -> '.join([*names, names[0]])}"


def two_prefixes(registry: str, first: str, second: str) -> str:
    """Say that a registry is included under two prefixes."""
    return (
        f"the registry {registry!r} is included under two prefixes: {first}, and {second}. "
        "However many paths lead to a registry, it is one, so its components have one name"
    )
