"""Turning what was declared into a plan, or into everything that is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lifecycle._core.component import Kind, Node, Parameter
from lifecycle._core.graph import circles, order
from lifecycle._core.plan import Plan, timed
from lifecycle._planning.checking import check, check_preflight, retry_of
from lifecycle._planning.gathering import gather
from lifecycle._planning.problems import Problems
from lifecycle._planning.reading import Reading, Readings
from lifecycle._planning.resolving import Present
from lifecycle.errors import CycleError
from lifecycle.settings.durations import as_optional_float

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle._core.component import Hooks
    from lifecycle._core.declaration import Contents, Mark
    from lifecycle._planning.names import Entry
    from lifecycle.settings import Settings


class _Draft(NamedTuple):
    """A component whose needs are resolved, to places in the order of registration."""

    entry: Entry
    reading: Reading
    hooks: Hooks
    requires: tuple[int, ...]
    asked: tuple[int, ...]
    wants: tuple[int, ...]
    after: tuple[int, ...]

    def settled(self, optional: Sequence[bool]) -> _Draft:
        """Put what the object asked for among what it requires; what is optional it only wants."""
        if not self.asked:
            return self
        required = [place for place in self.asked if not optional[place]]
        wanted = [place for place in self.asked if optional[place]]
        return self._replace(
            requires=tuple(dict.fromkeys((*self.requires, *required))),
            wants=tuple(dict.fromkeys((*self.wants, *wanted))),
            asked=(),
        )


class _Frozen(NamedTuple):
    """What is known of the whole when its nodes are made."""

    indices: dict[int, int]
    """The index of each place in the order of registration."""
    optional: list[bool]
    present: Present
    problems: Problems

    def targets(self, mark: Mark, entry: Entry) -> tuple[int, ...]:
        """Find what fills a parameter."""
        places = [self.present.find(ref, entry.scope) for ref in mark.refs]
        return tuple(self.indices[place] for place in places if place is not None)


def make_plan(contents: Contents, settings: Settings) -> Plan:
    """Check and freeze a registry.

    Raises:
        DefinitionError: something is wrong; the first that was found, with the others as notes.
    """
    problems, readings = Problems(), Readings()
    gathered = gather(contents, readings, problems)
    present = Present(contents.name, gathered, problems)
    hooks = [check(entry, readings, problems) for entry in present.entries]
    checks = list(dict.fromkeys(gathered.checks))
    for preflight in checks:
        check_preflight(preflight, problems)
    drafts = [
        _draft(entry, readings.of(entry.declaration), given, present)
        for entry, given in zip(present.entries, hooks, strict=True)
    ]
    optional = _optional(drafts)
    drafts = [draft.settled(optional) for draft in drafts]
    _check_optional(drafts, optional, problems)
    dependencies = [(*draft.requires, *draft.wants, *draft.after) for draft in drafts]
    ordered = order(dependencies)
    for circle in circles(dependencies, ordered):
        names = [drafts[place].entry.name for place in circle]
        problems.add(CycleError((*names, names[0]), _relation(circle, drafts)))
    problems.raise_first()

    frozen = _Frozen(
        {place: index for index, place in enumerate(ordered)}, optional, present, problems
    )
    nodes = tuple(_node(place, drafts[place], frozen) for place in ordered)
    return timed(
        Plan(
            components=nodes,
            name=contents.name,
            checks=tuple(dict.fromkeys(preflight.check for preflight in checks)),
            index_of={node.handle: node.index for node in nodes},
            absent=frozenset([*present.absent, *present.absent_names]),
        ),
        settings,
    )


def _draft(entry: Entry, reading: Reading, hooks: Hooks, present: Present) -> _Draft:
    def places(refs: tuple[Any, ...], relation: str) -> tuple[int, ...]:
        found = [present.resolve(ref, entry, relation) for ref in refs]
        return tuple(dict.fromkeys(place for place in found if place is not None))

    return _Draft(
        entry,
        reading,
        hooks,
        places(reading.requires, "requires") if reading.requires else (),
        places(reading.asked, "requires") if reading.asked else (),
        places(reading.wants, "wants") if reading.wants else (),
        places(reading.after, "after") if reading.after else (),
    )


def _relation(circle: Sequence[int], drafts: Sequence[_Draft]) -> str:
    """Say what each component of a circle is to the next."""
    found: set[str] = set()
    for place, other in zip(circle, (*circle[1:], circle[0]), strict=True):
        if other in drafts[place].requires:
            found.add("requires")
        else:
            found.add("wants" if other in drafts[place].wants else "starts after")
    return found.pop() if len(found) == 1 else "depends on"


def _optional(drafts: Sequence[_Draft]) -> list[bool]:
    """Say of each whether it is optional; what is made by ``map`` is as its source is."""
    optional: dict[int, bool] = {}
    for place, draft in enumerate(drafts):
        passed = [place]
        while draft.entry.declaration.kind is Kind.DERIVED and draft.requires:
            passed.append(draft.requires[0])
            draft = drafts[draft.requires[0]]  # noqa: PLW2901  on to the source
            if passed[-1] in optional:
                break
        last = draft.entry.declaration.options.get("optional", False) is True
        value = optional.get(passed[-1], last)
        optional.update(dict.fromkeys(passed, value))
    return [optional[place] for place in range(len(drafts))]


def _check_optional(drafts: Sequence[_Draft], optional: Sequence[bool], problems: Problems) -> None:
    for place, draft in enumerate(drafts):
        if optional[place]:
            continue
        for required in dict.fromkeys(draft.requires):
            if optional[required]:
                name = drafts[required].entry.name
                problems.invalid(
                    draft.entry.name,
                    f"requires {name!r}, which is optional: let it want {name!r}, or be optional "
                    "too",
                )


def _node(place: int, draft: _Draft, frozen: _Frozen) -> Node:
    declaration, reading, index = draft.entry.declaration, draft.reading, frozen.indices
    options = declaration.options
    return Node(
        index=index[place],
        name=draft.entry.name,
        handle=draft.entry.handle,
        kind=declaration.kind,
        function=declaration.function,
        takes_lifetime=reading.takes_lifetime,
        parameters=tuple(
            Parameter(
                name=parameter.name,
                relation=parameter.mark.relation,
                targets=frozen.targets(parameter.mark, draft.entry),
                default=parameter.mark.default,
                positional=parameter.positional,
            )
            for parameter in reading.parameters
        ),
        value=declaration.value,
        hooks=draft.hooks,
        enter=declaration.enter,
        requires=tuple(index[other] for other in draft.requires),
        wants=tuple(index[other] for other in draft.wants),
        after=tuple(index[other] for other in draft.after),
        optional=frozen.optional[place],
        thread=options.get("thread", True),
        on_return=options.get("on_return", "crash"),
        retry=retry_of(declaration),
        start_timeout=as_optional_float(options.get("start_timeout")),
        drain_timeout=as_optional_float(options.get("drain_timeout")),
        stop_timeout=as_optional_float(options.get("stop_timeout")),
        declared_at=frozen.problems.place(declaration.where),
    )
