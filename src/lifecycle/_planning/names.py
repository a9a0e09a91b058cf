"""Names of components, and where they are looked up: in the own registry first, then outwards."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lifecycle._core.declaration import Declaration

V = TypeVar("V")


class Entry(NamedTuple):
    """A declaration in its place: one and the same may be seen through several registries."""

    declaration: Declaration
    name: str
    """The whole name, with all prefixes."""
    scope: str
    """The prefixes alone: where names are looked up first."""

    @property
    def handle(self) -> Any:
        """The identity."""
        return self.declaration.handle


def joined(scope: str, name: str) -> str:
    """Put a prefix before a name; each may be empty."""
    return f"{scope}.{name}" if scope and name else scope or name


def candidates(scope: str, name: str) -> Iterator[str]:
    """Give the whole names that a name may mean, the nearest first."""
    while scope:
        yield f"{scope}.{name}"
        scope = scope.rpartition(".")[0]
    yield name


def similar(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Find up to two names that look like a misspelt one."""
    whole = list(dict.fromkeys(names))
    found = difflib.get_close_matches(name, whole, n=2)
    if not found:  # one may have forgotten the prefix
        found = [other for other in whole if other.endswith(f".{name}")][:2]
    return tuple(found)


def first_of(mapping: Mapping[str, V], scope: str, name: str) -> V | None:
    """Look a name up."""
    for candidate in candidates(scope, name):
        if candidate in mapping:
            return mapping[candidate]
    return None
