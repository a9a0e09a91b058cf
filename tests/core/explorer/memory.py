"""Looking into machines and views, and copying them: every attribute counts, whoever adds one."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from lifecycle._core.edges import Edges
from lifecycle._core.outcome import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

_NEVER_CHANGE = (enum.Enum, Edges, Verdict)  # a verdict is replaced, here


class _Attributes(NamedTuple):
    """What has to be copied of the instances of a class: it is asked a million times."""

    mutable: list[str]
    parts: list[str]


_KNOWN: dict[type, _Attributes] = {}


def _attributes_of(thing: object) -> _Attributes:
    kept = _KNOWN.get(type(thing))
    if kept is None:
        mutable = [n for n, v in vars(thing).items() if isinstance(v, list | bytearray | dict)]
        parts = [n for n, v in vars(thing).items() if _is_part(v)]
        kept = _KNOWN[type(thing)] = _Attributes(mutable, parts)
    return kept


def _is_part(value: object) -> bool:
    is_ours = type(value).__module__.startswith("lifecycle._core.")
    return is_ours and not isinstance(value, _NEVER_CHANGE)


def copied(thing: T, known: dict[object, object] | None = None) -> T:
    """Copy it with its parts; a part that several of them know is one in the copy too."""
    known = {} if known is None else known
    twin = known[thing] = object.__new__(type(thing))
    memory = vars(twin)
    memory.update(vars(thing))
    mutable, parts = _attributes_of(thing)
    for name in mutable:
        memory[name] = memory[name].copy()
    for name in parts:
        memory[name] = known.get(memory[name]) or copied(memory[name], known)
    return twin


def parts_of(name: str, thing: object) -> Iterator[tuple[str, object]]:
    """Find it and its parts, each with the path to it."""
    yield name, thing
    for part in _attributes_of(thing).parts:
        yield f"{name}.{part}", getattr(thing, part)
