"""Draws scripts at random, the same one from the same seed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from tests.chaos.script import (
    IN_GROUPS,
    SERVICES,
    WITH_DRAIN,
    Act,
    Ask,
    Body,
    Companion,
    Kind,
    Part,
    Script,
    Waiter,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_TIMES: Final = (0.0, 0.0, 0.5, 1.0, 3.0, 12.0)
_SOON: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 9.0)
_LATE: Final = (9.0, 15.0, 40.0)
_KINDS: Final[tuple[Any, ...]] = (
    *("generator",) * 4,
    "thread generator",
    "function",
    "thread function",
    "derived",
    *("object",) * 2,
    "thread object",
    "built object",
    "built manager",
    "manager",
    "thread manager",
    *("service",) * 2,
    "plain service",
    "main",
)
_ASYNC: Final = (
    *("fails", "hangs", "ignores", "unwinds", "swallows", "trips") * 2,
    *("breaks", "exits", "interrupts", "asks", "is cancelled"),
)
_SYNC: Final = (*("fails", "ignores") * 2, "breaks", "exits", "interrupts", "asks")
_DERIVED: Final = ("fails", "breaks", "exits", "interrupts")
_CRASHES: Final = ("fails", "fails", "breaks", "ends")
"""Of a task in a group: on asyncio a SystemExit in a child task ends the loop."""
_ENDS: Final = (*_CRASHES, "exits", "interrupts", "asks")
"""Of a service."""
_BODIES: Final[tuple[Any, ...]] = (
    *("ends", "waits") * 3,
    *("fails", "works", "ignores"),
    *("breaks", "exits", "interrupts"),
)


def draw(seed: str) -> Script:
    """Draw a script."""
    return _Drawing(random.Random(seed)).script()  # noqa: S311  not for secrets


@attrs.frozen
class _Drawing:
    random: random.Random

    def chance(self, of: float) -> bool:
        return self.random.random() < of

    def one(self, of: Sequence[T]) -> T:
        return self.random.choice(of)

    def maybe(self, of: float, value: T) -> T | None:
        return value if self.chance(of) else None

    def script(self) -> Script:
        trouble = self.one((0.05, 0.1, 0.25, 0.5))
        parts: list[Part] = []
        for index in range(self.random.randint(1, self.one((2, 4, 6)))):
            parts.append(self.part(parts, index, trouble))
        late = self.chance(0.5)
        body = Body(self.one(_BODIES), self.one(_LATE if late else _SOON))
        checks = tuple(self.check(trouble) for _ in range(self.one((0, 0, 0, 1, 2))))
        endless = body.how == "waits" or any(check.is_endless for check in checks)
        asks = [
            Ask(self.one(_LATE if late else _SOON), self.one((0, 0, 3)), self.chance(0.3))
            for _ in range(2)
        ]
        grace = self.one((6.0, 10.0, 20.0))
        return Script(
            parts=tuple(parts),
            body=body,
            asks=tuple(asks[: max(int(endless), self.one((0, 0, 1, 2)))]),
            cancelled_at=self.maybe(0.15, self.one(_SOON)),
            natively=self.chance(0.3),
            deadline=self.maybe(0.1, self.one(_SOON)),
            forced_at=self.maybe(0.15, self.one(_SOON)),
            companions=tuple(self.companion(trouble) for _ in range(self.one((0, 0, 0, 1, 2)))),
            checks=checks,
            waiters=tuple(
                Waiter(self.random.randrange(len(parts)), self.one(_SOON))
                for _ in range(self.one((0, 0, 1, 3)))
            ),
            observer_fails=self.chance(0.1),
            interleaving=self.maybe(0.5, self.random.randrange(10_000)),
            grace_period=grace,
            drain_delay=self.one((0.0, 0.0, 1.0)),
            drain_timeout=self.one((None, None, 1.0)),
            startup_timeout=self.one((None, None, None, 5.0)),
        )

    def part(self, before: Sequence[Part], index: int, trouble: float) -> Part:
        kind = self.one(_KINDS)
        if (kind == "derived" and not _derivable(before)) or (
            kind == "main" and any(part.kind == "main" for part in before)
        ):
            kind = "object"
        optional = self.chance(0.4)
        if kind == "derived":
            source = self.one(_derivable(before))
            hows: Any = _DERIVED
            start = Act(self.one(hows)) if self.chance(trouble / 2) else Act()
            return Part(kind, start, requires=(source,), optional=before[source].optional)
        return Part(
            kind,
            start=self.start(kind, trouble),
            drain=self.drain(kind, trouble),
            stop=self.act(kind, trouble),
            crash=self.crash(kind, trouble),
            work=self.work(kind, trouble),
            optional=optional,
            retry=0 if kind in {"manager", "thread manager"} else self.one((0, 0, 0, 1)),
            **self.edges(before, index, optional=optional),
            start_timeout=self.one((None, None, 0.5, 2.0, 5.0)),
            drain_timeout=self.one((None, None, 0.0, 0.5, 2.0, 5.0)),
            stop_timeout=self.one((None, None, 0.5, 2.0, 5.0, 50.0)),
        )

    def edges(self, before: Sequence[Part], index: int, *, optional: bool) -> dict[str, Any]:
        """Draw what it starts after, each in one way."""
        edges: dict[str, list[int]] = {"requires": [], "wants": [], "after": []}
        for other in self.random.sample(range(index), min(index, self.one((0, 1, 1, 2)))):
            way = self.one(("requires", "requires", "wants", "after"))
            if way == "requires" and before[other].optional and not optional:
                way = "wants"
            edges[way].append(other)
        return {way: tuple(sorted(others)) for way, others in edges.items()}

    def act(self, kind: Kind, trouble: float, of: Sequence[str] = ()) -> Act:
        """Draw what a hook does; most of the time what it should."""
        hows: Any = of or (_SYNC if "thread" in kind else _ASYNC)
        how: Any = self.one(hows) if self.chance(trouble) else "ends"
        return Act(how, self.one(_TIMES))

    def start(self, kind: Kind, trouble: float) -> Act:
        return Act() if kind in {"plain service", "main"} else self.act(kind, trouble)

    def drain(self, kind: Kind, trouble: float) -> Act | None:
        able = kind in WITH_DRAIN or kind in {"service", "main"}
        return self.act(kind, trouble) if able and self.chance(0.6) else None

    def crash(self, kind: Kind, trouble: float) -> Act | None:
        if not (kind in IN_GROUPS or kind in SERVICES) or not self.chance(trouble):
            return None
        hows: Any = _ENDS if kind in SERVICES else _CRASHES
        return Act(self.one(hows), self.one(_SOON))

    def work(self, kind: Kind, trouble: float) -> Act | None:
        if kind not in IN_GROUPS or not self.chance(0.4):
            return None
        return self.act(kind, trouble, ("hangs", "ignores", "fails", "swallows", "unwinds"))

    def companion(self, trouble: float) -> Companion:
        hows = ("fails", "breaks", "hangs", "unwinds", "trips", "ignores", "asks")
        return Companion(
            self.act("object", trouble / 2, hows), self.act("object", trouble / 2, hows)
        )

    def check(self, trouble: float) -> Act:
        return self.act(
            "object",
            trouble / 2,
            ("fails", "breaks", "exits", "interrupts", "hangs", "asks", "is cancelled"),
        )


def _derivable(before: Sequence[Part]) -> list[int]:
    return [index for index, part in enumerate(before) if part.kind not in SERVICES]
