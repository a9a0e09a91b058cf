"""What a system is to be run with, looked at when it is said, and not when a server begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from lifecycle import Registry
from lifecycle.embedded import given_around
from lifecycle.settings import given_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle import Settings
    from lifecycle.events import Observer

Companion = TypeVar("Companion")


def given(
    taker: str,
    registry: object,
    settings: Settings | None,
    companions: Iterable[Companion],
    observers: Iterable[Observer],
) -> tuple[tuple[Companion, ...], tuple[Observer, ...]]:
    """Look at it; give the companions and the observers, of which an iterator gives them once.

    Raises:
        TypeError: one of these is something else.

    """
    if not isinstance(registry, Registry):
        message = f"{taker} takes a Registry, not {registry!r}"
        raise TypeError(message)
    given_settings(settings, taker)
    return given_around(taker, companions, observers)
