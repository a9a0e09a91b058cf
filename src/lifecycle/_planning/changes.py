"""What changed copies of a registry do to what was declared in the original."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle._core.declaration import Inclusion, Kept, NoPreflight, Replaced
from lifecycle._core.graph import reachable
from lifecycle._planning.names import Entry, first_of, similar
from lifecycle.component import Component
from lifecycle.errors import DefinitionError, UnknownComponentError

if TYPE_CHECKING:
    from lifecycle._core.declaration import Preflight
    from lifecycle._planning.problems import Problems
    from lifecycle._planning.reading import Readings


class Gathered:
    """What was found in a registry and in all that it includes, in order."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.checks: list[Preflight] = []
        self.gone: list[tuple[Entry, str]] = []
        """What is absent, and why."""


def change(
    gathered: Gathered,
    inclusion: Inclusion,
    scope: str,
    readings: Readings,
    problems: Problems,
) -> None:
    """Make one change to what was gathered from the original."""
    change = inclusion.change
    look_up = _LookUp(gathered, inclusion, scope, problems)
    if change is None or isinstance(change, NoPreflight):
        gathered.checks.clear()
    elif isinstance(change, Replaced):
        _replace(gathered, change, look_up)
    elif isinstance(change, Kept):
        keep = reachable(look_up.places(change.refs, "keeps only"), look_up.requirements(readings))
        _drop(gathered, set(range(len(gathered.entries))) - keep, "left out by only()")
    else:
        drop = set(look_up.places(change.refs, "leaves out"))
        _drop(gathered, drop, "left out by without()")


def _replace(gathered: Gathered, change: Replaced, look_up: _LookUp) -> None:
    overridden: set[int] = set()
    for handle, declaration in change.overrides:
        for place in look_up.places((handle,), "overrides"):
            entry = gathered.entries[place]
            if place in overridden:
                look_up.problems.add(DefinitionError(f"{entry.name!r} is overridden twice at once"))
            overridden.add(place)
            gathered.entries[place] = Entry(declaration, entry.name, entry.scope)


def _drop(gathered: Gathered, places: set[int], why: str) -> None:
    kept: list[Entry] = []
    for place, entry in enumerate(gathered.entries):
        if place in places:
            gathered.gone.append((entry, f"it was {why}."))
        else:
            kept.append(entry)
    gathered.entries[:] = kept


class _LookUp:
    """Handles and names among the components of one registry, as that registry sees them."""

    def __init__(
        self, gathered: Gathered, inclusion: Inclusion, scope: str, problems: Problems
    ) -> None:
        self.problems = problems
        self._entries = gathered.entries
        self._gone = gathered.gone
        self._registry = inclusion.contents.name
        self._scope = scope
        self._by_handle: dict[Any, int] = {}
        self._by_name: dict[str, int] = {}
        for place, entry in enumerate(self._entries):
            self._by_handle.setdefault(entry.handle, place)
            self._by_name.setdefault(entry.name, place)

    def find(self, ref: Any, scope: str) -> int | None:
        """Find the place of a component."""
        if isinstance(ref, str):
            return first_of(self._by_name, scope, ref)
        return self._by_handle.get(ref)

    def places(self, refs: tuple[Any, ...], relation: str) -> list[int]:
        """Find the places of components that the user has named."""
        places: list[int] = []
        for ref in refs:
            place = self.find(ref, self._scope)
            if place is None:
                self.problems.add(self._unknown(ref, relation))
            else:
                places.append(place)
        return places

    def requirements(self, readings: Readings) -> list[list[int]]:
        """Find what each requires, as far as it is here."""
        required: list[list[int]] = []
        for entry in self._entries:
            reading = readings.of(entry.declaration)
            refs = (*reading.requires, *reading.asked)
            places = (self.find(ref, entry.scope) for ref in refs)
            required.append([place for place in places if place is not None])
        return required

    def _unknown(self, ref: Any, relation: str) -> UnknownComponentError:
        if isinstance(ref, Component):
            gone = {entry.handle: why for entry, why in self._gone}
            hint = gone.get(ref) or (
                f"it is not there: it belongs to the registry {ref.registry!r}."
            )
            return UnknownComponentError(ref.name, self._registry, relation, (), hint)
        hint = first_of({entry.name: why for entry, why in self._gone}, self._scope, ref) or ""
        suggestions = () if hint else similar(ref, self._by_name)
        return UnknownComponentError(ref, self._registry, relation, suggestions, hint)
