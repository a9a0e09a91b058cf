"""Makes a script that fails smaller, as long as it fails in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from tests.chaos.script import Part, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST: Final = 2000
"""How many attempts there are at most."""


def shrink(script: Script, fails: Callable[[Script], bool]) -> Script:
    """Make a script smaller, step by step, while it fails."""
    attempts = 0
    found = True
    while found and attempts < _MOST:
        found = False
        for smaller in _smaller_scripts(script):
            attempts += 1
            if fails(smaller):
                script, found = smaller, True
                break
    return script


def _smaller_scripts(script: Script) -> Iterator[Script]:
    for index in reversed(range(len(script.parts))):
        yield _without(script, index)
    yield from _smaller(script)


def _without(script: Script, index: int) -> Script:
    """Leave a component out, and whatever is derived from it only loses it."""

    def others(of: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(other - (other > index) for other in of if other != index)

    parts = [
        attrs.evolve(
            part,
            kind="object" if part.kind == "derived" and index in part.requires else part.kind,
            requires=others(part.requires),
            wants=others(part.wants),
            after=others(part.after),
        )
        for number, part in enumerate(script.parts)
        if number != index
    ]
    waiters = [
        attrs.evolve(waiter, part=waiter.part - (waiter.part > index))
        for waiter in script.waiters
        if waiter.part != index
    ]
    return attrs.evolve(script, parts=tuple(parts), waiters=tuple(waiters))


def _smaller(thing: Any) -> Iterator[Any]:
    """Give what is like it, and one field simpler."""
    for field in attrs.fields(type(thing)):
        if field.name == "requires" and getattr(thing, "kind", "") == "derived":
            continue  # it is made of that
        for value in _simpler(getattr(thing, field.name), field.default):
            yield attrs.evolve(thing, **{field.name: value})


def _simpler(value: Any, default: Any) -> Iterator[Any]:
    if default is not attrs.NOTHING and value != default:
        yield default
    if isinstance(value, tuple):
        for index, item in enumerate(value):
            if not isinstance(item, Part):
                yield (*value[:index], *value[index + 1 :])
            if attrs.has(type(item)):
                for smaller in _smaller(item):
                    yield (*value[:index], smaller, *value[index + 1 :])
    elif attrs.has(type(value)):
        yield from _smaller(value)
    elif isinstance(value, float) and value > 1:
        yield 1.0


def text(thing: Any) -> str:
    """Write a script as Python, without what is as by default."""
    if isinstance(thing, tuple):
        return f"({''.join(f'{text(item)}, ' for item in thing)})"
    if not attrs.has(type(thing)):
        return repr(thing)
    fields = [
        f"{field.name}={text(getattr(thing, field.name))}"
        for field in attrs.fields(type(thing))
        if getattr(thing, field.name) != field.default
    ]
    return f"{type(thing).__name__}({', '.join(fields)})"
