"""The keyword arguments of the five verbs, once for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lifecycle._core.component import OnReturn
    from lifecycle.component import Ref
    from lifecycle.settings import Retry

    Refs: TypeAlias = Ref | Iterable[Ref]


class Options(TypedDict, total=False):
    """What can be said of every component. Timeouts are in seconds; None leaves the default."""

    name: str
    """By default the function's or class's."""
    requires: Refs
    """What starts before, and must not fail; handles or names, in addition to the parameters'."""
    wants: Refs
    """What starts before, and may fail or be absent."""
    after: Refs
    """What starts before where it is there: order only."""
    optional: bool
    """Whether its failure degrades the system instead of failing it."""
    enabled: bool | Callable[[], bool]
    """Whether it is there at all; a function is asked once by each ``plan()``."""
    start_timeout: float | None
    """For its start, all retries included; by default that of the settings, likewise the others."""
    drain_timeout: float | None
    """For its drain; 0 cuts off at once what is in flight."""
    stop_timeout: float | None
    """For its stop."""
    retry: int | Retry | None
    """How often a start that failed is tried again, or how."""


class ComponentOptions(Options, total=False):
    """What can be said of a ``component``."""

    thread: bool
    """Whether a function that is not async runs in a thread of its own; by default it does."""


class ServiceOptions(Options, total=False):
    """What can be said of a ``service``."""

    on_return: OnReturn
    """What it means that it returns by itself; by default a crash."""


class DrainOptions(Options, total=False):
    """What can be said of an object that starts and stops by itself; hooks take no argument."""

    drain: Callable[[], object]
    """Called when it is to take no new work and finish what is in flight."""
    check: Callable[[], object]
    """Asked whether it is in order."""


class ValueDrainOptions(Options, total=False):
    """What can be said of what ``build`` makes, if that starts and stops by itself."""

    drain: Callable[[Any], object]
    """Called with it, when it is to take no new work and finish what is in flight."""
    check: Callable[[Any], object]
    """Asked, with it, whether it is in order."""
