"""How our data shows, and what it equals: written once.

What attrs writes for a class it compiles when that is imported. A `__repr__`, an `__eq__` and a
`__hash__` for each class of ours took longer than all the rest of it.
"""

from __future__ import annotations

from typing import Any, cast

import attrs


class Shown:
    """What shows its fields, as attrs would."""

    __slots__ = ()

    def __repr__(self) -> str:
        fields = ((field.name, getattr(self, field.name)) for field in _fields(self) if field.repr)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in fields)})"


class Record(Shown):
    """What equals others of its class with equal fields; for classes with ``eq=False``."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(
            getattr(self, field.name) == getattr(other, field.name)
            for field in _fields(self)
            if field.eq
        )

    def __hash__(self) -> int:
        hashed = (field for field in _fields(self) if field.hash is not False)
        return hash((type(self), *(getattr(self, field.name) for field in hashed)))


def _fields(record: object) -> tuple[attrs.Attribute[Any], ...]:
    kind: Any = type(record)
    return cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(kind))
