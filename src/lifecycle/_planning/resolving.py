"""What handles and names stand for, in one plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifecycle._core import calls
from lifecycle._core.component import Kind
from lifecycle._engine.hooks import not_filled
from lifecycle._planning.gathering import two_prefixes
from lifecycle._planning.names import Entry, candidates, similar
from lifecycle.component import Component
from lifecycle.errors import (
    DefinitionError,
    DuplicateComponentError,
    UnknownComponentError,
    one_line,
)
from lifecycle.naming import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle._planning.changes import Gathered
    from lifecycle._planning.problems import Problems

_NOT_ENABLED: Final = "it is not enabled."
_SUGGESTIONS: Final = 20
"""For how many names that were not found like ones are looked for: it takes a second in a very
large plan."""


class Present:
    """What is there, and what is declared but absent; found by handle or by name."""

    def __init__(self, registry: str, gathered: Gathered, problems: Problems) -> None:
        self.entries: list[Entry] = []
        entries = _each_once(gathered.entries, problems)
        self.absent: dict[Any, str] = {entry.handle: why for entry, why in gathered.gone}
        for entry in entries:  # left out of one copy, and there through another
            self.absent.pop(entry.handle, None)
        self.absent_names = {entry.name: why for entry, why in gathered.gone}
        self._registry = registry
        self._problems = problems
        self._places: dict[Any, int] = {}
        self._names: dict[str, int] = {}
        self._suggested = 0
        for entry in entries:
            why = self._why_absent(entry)
            if why is None:
                self._add(entry)
            else:
                self.absent[entry.handle] = why
                self.absent_names[entry.name] = why

    def resolve(self, ref: Any, entry: Entry, relation: str) -> int | None:
        """Find the place of what a component requires, wants or comes after.

        Returns:
            None: it is absent; where that must not be, the problem is kept.
        """
        place = self.find(ref, entry.scope)
        if place is None and relation == "requires":
            self._problems.add(self._unknown(ref, entry))
        return place

    def find(self, ref: Any, scope: str) -> int | None:
        """Find the place of a component; None where it is absent."""
        if not isinstance(ref, str):
            return self._places.get(ref)
        for name in candidates(scope, ref):
            if name in self._names:
                return self._names[name]
            if name in self.absent_names:  # what is absent here is not another one further out
                return None
        return None

    def _unknown(self, ref: Any, entry: Entry) -> UnknownComponentError:
        if isinstance(ref, Component):
            hint = self.absent.get(ref) or (
                f"it belongs to the registry {ref.registry!r}, which is not a part of "
                f"{self._registry!r}: include() it there."
            )
            return UnknownComponentError(ref.name, entry.name, "requires", (), hint)
        for name in candidates(entry.scope, ref):
            if name in self.absent_names:
                why = self.absent_names[name]
                return UnknownComponentError(ref, entry.name, "requires", (), why)
        self._suggested += 1
        few = self._suggested <= _SUGGESTIONS
        others = (name for name in self._names if name != entry.name)
        suggestions = similar(ref, others) if few else ()
        return UnknownComponentError(ref, entry.name, "requires", suggestions)

    def _why_absent(self, entry: Entry) -> str | None:
        declaration = entry.declaration
        if declaration.kind is Kind.DERIVED:
            why = self.absent.get(declaration.source)
            return why and f"{declaration.source.name!r}, from which it is made, is absent: {why}"
        enabled = declaration.options.get("enabled", True)
        if callable(enabled):
            return self._asked(entry, enabled)
        if not isinstance(enabled, bool):
            reason = f"has enabled={enabled!r}, which is neither a bool nor a function"
            self._problems.invalid(entry.name, reason)
            return None
        return None if enabled else _NOT_ENABLED

    def _asked(self, entry: Entry, enabled: Callable[[], object]) -> str | None:
        """Ask a function whether a component is there; as `_why_absent`."""
        reason = None
        if calls.is_async(enabled) or calls.is_generator(enabled):
            reason = "which is async, and is asked where nobody waits"
        elif marked := not_filled(enabled, 0):
            reason = f"which {marked}. It is asked by plan(), where there are no values yet"
        if reason is not None:
            self._problems.invalid(entry.name, f"has enabled={name_of(enabled)}, {reason}")
            return None
        try:
            return None if enabled() else _NOT_ENABLED
        except Exception as error:  # noqa: BLE001  whatever it is, it is told
            asked = f"{name_of(enabled)}() raised {one_line(error)}"
            reason = f"could not be asked whether it is enabled: {asked}"
            self._problems.invalid(entry.name, reason, error)
            return None

    def _add(self, entry: Entry) -> None:
        place = len(self.entries)
        first = self._names.setdefault(entry.name, place)
        if first != place:
            at = self._problems.place
            first_at = at(self.entries[first].declaration.where)
            second_at = at(entry.declaration.where)
            self._problems.add(DuplicateComponentError(entry.name, first_at, second_at))
        self._places[entry.handle] = place
        self.entries.append(entry)


def _each_once(entries: list[Entry], problems: Problems) -> list[Entry]:
    """Leave out what is there a second time, through changed copies that share an original."""
    first: dict[Any, Entry] = {}
    once: list[Entry] = []
    for entry in entries:
        earlier = first.setdefault(entry.handle, entry)
        if earlier is entry:
            once.append(entry)
        elif earlier.name != entry.name:
            registry = entry.declaration.home.name
            text = two_prefixes(registry, repr(earlier.scope), repr(entry.scope))
            problems.add(DefinitionError(text))
        elif earlier.declaration is not entry.declaration:
            problems.add(
                DefinitionError(
                    f"{entry.name!r} is there twice, as declared and overridden: a registry and a "
                    "changed copy of it are parts of the same system. Override it in the whole: "
                    "whole.override(…)"
                )
            )
    return once
