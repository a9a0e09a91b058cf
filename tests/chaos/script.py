"""What is done to a system, written down before it runs: all of it data, which prints as Python.

Times are seconds since the run began. Where time is real they are turns of the loop, a few for each
second, so that a run takes none.
"""

from __future__ import annotations

from typing import Literal

import attrs

How = Literal[
    "ends",
    "fails",
    "breaks",
    "exits",
    "interrupts",
    "asks",
    "is cancelled",
    "hangs",
    "swallows",
    "unwinds",
    "trips",
    "ignores",
]
"""What a hook does in the end. By itself: it returns, raises an exception, a BaseException, a
SystemExit, a KeyboardInterrupt, asks for a shutdown, or is cancelled by somebody else. Once it is
cancelled: it ends at once, swallows that, takes its time, fails, or takes no notice."""

ENDLESS = frozenset({"hangs", "swallows", "unwinds", "trips"})
"""What ends only by a cancellation."""

EXIT_CODE = 7
"""That of every SystemExit."""

Kind = Literal[
    "generator",
    "thread generator",
    "function",
    "thread function",
    "derived",
    "object",
    "thread object",
    "built object",
    "built manager",
    "manager",
    "thread manager",
    "service",
    "plain service",
    "main",
]
"""How a component is declared; what has "thread" in it is sync."""

GENERATORS = frozenset({"generator", "thread generator"})
MANAGERS = frozenset({"built manager", "manager", "thread manager"})
OBJECTS = frozenset({"object", "thread object", "built object"})
SERVICES = frozenset({"service", "plain service", "main"})
THREADS = frozenset({"thread generator", "thread function", "thread object", "thread manager"})
IN_GROUPS = frozenset({"generator", "manager", "built manager", "service"})
"""What can hold a task group open as long as it lives."""
WITH_DRAIN = GENERATORS | MANAGERS | OBJECTS | frozenset({"function", "thread function"})
"""What can be given a drain hook."""


@attrs.frozen
class Act:
    """What a hook does."""

    how: How = "ends"
    takes: float = 0.0
    """For how long, before that; where it ignores or unwinds a cancellation, after it."""

    @property
    def is_endless(self) -> bool:
        """Whether nothing but a cancellation ends it."""
        return self.how in ENDLESS


@attrs.frozen
class Part:
    """One component."""

    kind: Kind = "generator"
    start: Act = Act()
    drain: Act | None = None
    stop: Act = Act()
    crash: Act | None = None
    """What becomes of a task in a group of its own, from when it is ready; of a service, itself."""
    work: Act | None = None
    """Work that is in flight in a group of its own, from when it is ready."""
    optional: bool = False
    retry: int = 0
    requires: tuple[int, ...] = ()
    wants: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    start_timeout: float | None = None
    drain_timeout: float | None = None
    stop_timeout: float | None = None

    @property
    def dependencies(self) -> tuple[int, ...]:
        """All that it starts after."""
        return tuple(sorted({*self.requires, *self.wants, *self.after}))

    @property
    def is_sync(self) -> bool:
        """Whether its hooks run in a thread."""
        return self.kind in THREADS


@attrs.frozen
class Body:
    """The body of ``async with running(…)``."""

    how: Literal["ends", "fails", "breaks", "exits", "interrupts", "waits", "works", "ignores"] = (
        "ends"
    )
    takes: float = 0.0


@attrs.frozen
class Ask:
    """Somebody asks for a shutdown."""

    at: float
    code: int = 0
    from_thread: bool = False


@attrs.frozen
class Companion:
    """A companion, and what it does."""

    start: Act = Act()
    stop: Act = Act()


@attrs.frozen
class Waiter:
    """Somebody who waits at the gate of a component."""

    part: int
    at: float = 0.0


@attrs.frozen
class Script:
    """A whole run."""

    parts: tuple[Part, ...] = ()
    body: Body = Body()
    asks: tuple[Ask, ...] = ()
    cancelled_at: float | None = None
    """When what is around `running` is cancelled."""
    natively: bool = False
    """Whether that is done with asyncio's own `Task.cancel`, which pierces shields."""
    deadline: float | None = None
    """A deadline around `running`."""
    forced_at: float | None = None
    """When the first of two interrupts comes."""
    companions: tuple[Companion, ...] = ()
    checks: tuple[Act, ...] = ()
    waiters: tuple[Waiter, ...] = ()
    observer_fails: bool = False
    interleaving: int | None = None
    """The seed that makes tasks late; None: first come, first served."""
    grace_period: float = 20.0
    drain_delay: float = 0.0
    drain_timeout: float | None = None
    startup_timeout: float | None = None
    start_timeout: float = 7.0
    stop_timeout: float = 4.0
