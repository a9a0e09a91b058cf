"""What happened in a run: what the hooks saw themselves, and what observers were told, in order.

The order is that of one list, into which the hooks write when they begin and when they end, and the
observer whatever it is told. So what the engine says can be held against what was.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import anyio
import attrs

from lifecycle import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle import Report
    from tests.chaos.script import Script

E = TypeVar("E")

What = Literal["start", "drain", "stop", "life", "run", "work", "body", "enter", "leave", "check"]

BODY = -1
"""Calls are numbered by their component; this stands for the body."""
COMPANIONS = 1000
"""Likewise for the first companion, from where these are numbered."""
CHECKS = 2000
"""Likewise for the first check."""


_GIVEN_UP_WITH: Final[dict[str, tuple[str, ...]]] = {
    "life": ("start", "drain", "stop"),
    "run": ("start", "drain", "stop"),
    "drain": ("drain", "stop"),  # as the first part of its stop
}
"""When which hooks were abandoned a call is waited for no longer, where that is not its own."""


@attrs.define(eq=False)
class Call:
    """Something of the user's that was called: a hook, the body, a piece of work, a whole life."""

    part: int
    what: What
    began: int
    """Its place in the story."""
    began_at: float
    thread: int
    task: int | None
    context: object = None
    """What it found in the context variable that the start of its component has set."""
    ended: int | None = None
    ended_at: float | None = None
    error: BaseException | None = None
    """What it raised; a cancellation, too."""
    raised: BaseException | None = None
    """The error that it was to raise."""
    cancelled_at: float | None = None
    """When it first saw that it was cancelled."""
    by_itself: bool = False
    """Whether that was its own doing, or that of whoever is beside it."""

    @property
    def is_well(self) -> bool:
        """Whether it returned."""
        return self.ended is not None and self.error is None

    def is_running_at(self, place: int) -> bool:
        """Whether it had begun and not ended at a place of the story."""
        return self.began < place and (self.ended is None or place < self.ended)

    def __str__(self) -> str:
        """Name it."""
        return f"{self.what} of {name_of(self.part)}"


@attrs.frozen
class Deed:
    """What somebody did to the system from outside."""

    what: Literal["asked", "cancelled", "interrupted", "forced", "left"]
    at: float
    code: int = 0


@attrs.frozen
class Wait:
    """What came of a wait at a gate."""

    part: int
    began_at: float
    ended_at: float
    error: BaseException | None


@attrs.define
class Story:
    """One run, from beginning to end."""

    script: Script
    is_real: bool
    """Whether its time was real: then nothing is said of times."""
    now: Callable[[], float]
    log: list[Any] = attrs.field(factory=list)
    """Calls that begin, ``("ended", call)``, events, and deeds."""
    calls: list[Call] = attrs.field(factory=list)
    waits: list[Wait] = attrs.field(factory=list)
    report: Report | None = None
    error: BaseException | None = None
    """What `running` raised."""
    was_cancelled: bool = False
    """Whether that was a cancellation."""
    over_at: float = 0.0
    """When `running` had ended."""
    over: int = 0
    """The place in the story where it had."""
    leftovers: list[str] = attrs.field(factory=list)
    """Tasks and threads that are left."""
    stalled: str = ""
    """Why it never ended, if it did not."""
    _lock: Any = attrs.field(factory=threading.Lock, repr=False)

    # --- writing -------------------------------------------------------------------------------

    def write(self, entry: Any) -> int:
        """Write something down; returns its place. From any thread."""
        with self._lock:
            self.log.append(entry)
            return len(self.log) - 1

    @contextmanager
    def call(self, part: int, what: What, context: object = None) -> Iterator[Call]:
        """Write down that something is called, and that it has ended."""
        thread = threading.get_ident()
        call = Call(part, what, 0, self.now(), thread, _task(), context)
        call.began = self.write(call)
        self.calls.append(call)
        try:
            yield call
        except BaseException as error:
            call.error = error
            raise
        finally:
            call.ended_at = self.now()
            call.ended = self.write(("ended", call))

    # --- reading -------------------------------------------------------------------------------

    def of(self, part: int, *what: What) -> list[Call]:
        """The calls of a component, as they began."""
        return [call for call in self.calls if call.part == part and call.what in what]

    def told(self, kind: type[E], part: int | None = None) -> list[tuple[int, E]]:
        """The events of a kind, each with its place."""
        name = None if part is None else name_of(part)
        return [
            (place, entry)
            for place, entry in enumerate(self.log)
            if isinstance(entry, kind)
            and (name is None or getattr(entry, "component", None) == name)
        ]

    def first(self, kind: type[E], part: int | None = None) -> tuple[int, E] | None:
        """The first event of a kind, with its place."""
        return next(iter(self.told(kind, part)), None)

    def place(self, kind: type[Any], part: int | None = None) -> int | None:
        """The place of the first event of a kind."""
        found = self.first(kind, part)
        return None if found is None else found[0]

    @property
    def parts(self) -> range:
        """The numbers of all components."""
        return range(len(self.script.parts))

    def dependents(self, part: int) -> list[int]:
        """Who starts after a component."""
        return [who for who in self.parts if part in self.script.parts[who].dependencies]

    def is_ready(self, part: int) -> bool:
        """Whether it was ever told that a component is ready."""
        return any(event.error is None for _, event in self.told(events.ComponentStarted, part))

    def crashed(self, part: int) -> int | None:
        """Where it was told that a component has crashed."""
        return self.place(events.ComponentCrashed, part)

    def abandoned_before(self, call: Call, place: int) -> bool:
        """Whether a call was given up before a place: whatever it still does is of no interest."""
        hooks = _GIVEN_UP_WITH.get(call.what, (call.what,))
        return any(
            at <= place and event.hook in hooks
            for at, event in self.told(events.HookAbandoned, call.part)
        )

    @property
    def forced_at(self) -> float | None:
        """When the end was forced."""
        return next((d.at for _, d in self.told(Deed) if d.what == "forced"), None)

    @property
    def closed_at(self) -> float:
        """When the report was complete."""
        closed = self.first(events.Closed)
        return self.over_at if closed is None else closed[1].at

    def text(self) -> str:
        """Write all of it out, for people."""
        return "\n".join(f"{place:4} {_line(entry)}" for place, entry in enumerate(self.log))


def name_of(part: int) -> str:
    """The name of a component, by its number; or of what else there is."""
    if part == BODY:
        return "running"
    if part >= CHECKS:
        return f"check {part - CHECKS}"
    return f"companion {part - COMPANIONS}" if part >= COMPANIONS else f"c{part}"


def _line(entry: Any) -> str:
    if isinstance(entry, Call):
        return f"{entry.began_at:7.3f}   {entry} begins"
    if isinstance(entry, tuple):
        call: Call = entry[1]
        raised = "" if call.error is None else f": {call.error!r}"
        if "Cancelled" in raised:
            raised = ": cancelled"
        seen = "" if call.cancelled_at is None else f", cancelled at {call.cancelled_at:g}"
        return f"{call.ended_at:7.3f}   {call} ends{raised}{seen}"
    if isinstance(entry, Deed):
        return f"{entry.at:7.3f} ! {entry.what} {entry.code or ''}"
    fields = attrs.asdict(entry, recurse=False)
    at = fields.pop("at")
    fields.pop("stack", None)
    told = ", ".join(f"{key}={value!s}" for key, value in fields.items())
    return f"{at:7.3f} . {type(entry).__name__}({told})"


def _task() -> int | None:
    try:
        return anyio.get_current_task().id
    except Exception:  # noqa: BLE001  in a thread: whatever anyio of this version raises there
        return None
