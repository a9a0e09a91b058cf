"""What happens to a system, as spans: one trace of its start, and one of its shutdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifecycle import Outcome, events
from lifecycle.errors import ClosedError, DrainTimeoutError, StopError, one_line
from lifecycle.integrations.opentelemetry._clock import Clock
from lifecycle.integrations.opentelemetry._sketch import Sketch
from lifecycle.states import Phase, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lifecycle import Plan, System
    from lifecycle.integrations.opentelemetry._book import Book
    from lifecycle.integrations.opentelemetry._sketch import Attributes

_BEGINS: Final[dict[type[events.Event], str]] = {
    events.ComponentStarting: "start",
    events.ComponentDraining: "drain",
    events.ComponentStopping: "stop",
}
_ENDS: Final[dict[type[events.Event], str]] = {
    events.ComponentStarted: "start",
    events.ComponentDrained: "drain",
    events.ComponentStopped: "stop",
}
_BEFORE_THE_END_OF_THE_START: Final = (Phase.PREFLIGHT, Phase.STARTING)


class Story:
    """Turns the events of one system into spans.

    A span links to those of the same hook that it had to wait for: a start to the starts of what it
    depends on, a drain and a stop to those of its dependents.
    """

    def __init__(self, system: System, book: Book, *, record_exceptions: bool) -> None:
        """Nothing has happened."""
        self._system = system
        self._book = book
        self._record_exceptions = record_exceptions
        self._clock = Clock()
        self._waits_for = _waits_for(system.plan)
        self._optional = {node.name: node.optional for node in system.plan.components}
        self._start: Sketch | None = None
        self._shutdown: Sketch | None = None
        self._sketches: dict[tuple[str, str], Sketch] = {}
        """Those of hooks, by component and hook."""
        self._checks: dict[str, list[Sketch]] = {}
        """Those of preflight checks that have not ended, by name."""
        self._failure: BaseException | None = None
        """The first that counts."""
        self._first: str | None = None
        """The type of that, or of what comes before it and is told by no error."""
        self._crashes: list[events.ComponentCrashed] = []
        self._tell: dict[type[Any], Callable[[Any], None]] = {
            **dict.fromkeys(_BEGINS, self._begins),
            **dict.fromkeys(_ENDS, self._ended),
            events.PhaseChanged: self._phase,
            events.ShutdownRequested: self._shutdown_requested,
            events.CompanionStarted: self._companion_started,
            events.CheckStarting: self._check_starts,
            events.CheckEnded: self._check_ended,
            events.ComponentRetrying: self._retries,
            events.ComponentSkipped: self._skipped,
            events.ComponentCrashed: self._crashed,
            events.WorkCancelled: self._work_cancelled,
            events.HookAbandoned: self._abandoned,
        }

    def begin(self, now: float) -> None:
        """The system begins.

        Args:
            now: the time on the loop's clock.

        """
        self._clock.compare(now)
        self._start = self._root("start", now)

    def observe(self, event: events.Event) -> None:
        """Take note of an event."""
        tell = self._tell.get(type(event))
        if tell is not None:
            tell(event)

    def sketch_of(self, component: str, hook: str) -> Sketch | None:
        """The span of a hook, once it has begun."""
        return self._sketches.get((component, hook))

    def end(self, now: float) -> None:
        """Everything is over, or nothing that follows can be told any more.

        Args:
            now: the time on the loop's clock.

        """
        if self._start is not None:
            self._end(self._start, now)
        if self._shutdown is None:
            return
        status = self._system.status()
        # Known once every component has ended, and so never where the provider is one of them.
        if status.outcome is not None and status.exit_code is not None:
            self._shutdown.set({"lifecycle.outcome": str(status.outcome)})
            self._shutdown.set({"lifecycle.exit_code": status.exit_code})
        if status.error is not None or status.outcome not in (None, Outcome.CLEAN):
            # The last is the conventions' word where there is none, as after a second interrupt.
            self._shutdown.set({"error.type": self._first or status.error or "_OTHER"})
            self._shutdown.fail(status.error or str(status.outcome))
        self._end(self._shutdown, now)

    # --- roots ---------------------------------------------------------------------------------

    def _root(self, what: str, at: float, **attributes: str) -> Sketch:
        name = self._system.name
        return self._begin(f"{what} {name}".strip(), at, attributes, parent=None)

    def _phase(self, event: events.PhaseChanged) -> None:
        self._note(self._shutdown, str(event.phase), event.at)
        if self._start is not None and event.phase not in _BEFORE_THE_END_OF_THE_START:
            self._end(self._start, event.at)

    def _shutdown_requested(self, event: events.ShutdownRequested) -> None:
        attributes = {"lifecycle.trigger": str(event.trigger)}
        failed = event.trigger is Trigger.FAILURE
        if not failed or self._record_exceptions:
            attributes["lifecycle.reason"] = event.reason  # that of a failure has its message in it
        if self._start is not None and self._start.ended is not None:
            self._clock.compare(event.at)
        elif self._start is not None and failed:
            self._fail(self._start, self._failure)
        self._shutdown = self._begin(
            f"shut down {self._system.name}".strip(), event.at, attributes, parent=None
        )
        for crash in self._crashes:
            self._crashed(crash)

    def _companion_started(self, event: events.CompanionStarted) -> None:
        self._count(event.error)

    def _skipped(self, event: events.ComponentSkipped) -> None:
        attributes = {"lifecycle.component": event.component}
        if event.because_of is not None:
            attributes["lifecycle.because_of"] = event.because_of
        self._note(None, "skipped", event.at, attributes)

    def _crashed(self, event: events.ComponentCrashed) -> None:
        if not self._optional[event.component]:
            self._count(event.error)
        if self._shutdown is None:
            self._crashes.append(event)  # the shutdown follows from it, or some time later
            return
        attributes = {"lifecycle.component": event.component, **_error_type(event.error)}
        self._note(self._shutdown, "crashed", event.at, attributes)

    # --- preflight checks ----------------------------------------------------------------------

    def _check_starts(self, event: events.CheckStarting) -> None:
        attributes = {"lifecycle.check": event.check}
        sketch = self._begin(f"check {event.check}", event.at, attributes, parent=self._start)
        self._checks.setdefault(event.check, []).append(sketch)

    def _check_ended(self, event: events.CheckEnded) -> None:
        # Of several by one name all began at once: which of them it is makes no difference.
        sketch = self._checks[event.check].pop()
        self._count(event.error)
        self._fail(sketch, event.error)
        self._end(sketch, event.at)

    # --- hooks ---------------------------------------------------------------------------------

    def _begins(self, event: events.ComponentStarting) -> None:
        name, hook = event.component, _BEGINS[type(event)]
        waits_for = self._waits_for["start" if hook == "start" else "end"][name]
        self._sketches[name, hook] = self._begin(
            f"{hook} {name}",
            event.at,
            {
                "lifecycle.component": name,
                "lifecycle.hook": hook,
                "lifecycle.optional": self._optional[name],
            },
            parent=self._start if hook == "start" else self._shutdown,
            links=[
                (sketch, {"lifecycle.relation": relation})
                for other, relation in waits_for
                if (sketch := self._sketches.get((other, hook))) is not None
            ],
        )

    def _ended(self, event: events.ComponentStarted) -> None:
        name, hook = event.component, _ENDS[type(event)]
        sketch = self._sketches.get((name, hook))
        if sketch is None:
            return
        if isinstance(event.error, ClosedError):
            sketch.set({"lifecycle.given_up": True})  # no failure of its own
        else:
            self._fail(sketch, event.error)
            if hook != "start" or not self._optional[name]:
                self._count(event.error)
        self._end(sketch, event.at)

    def _retries(self, event: events.ComponentRetrying) -> None:
        attributes: Attributes = {
            "lifecycle.attempt": event.attempt,
            "lifecycle.delay": event.delay,
            **_error_type(event.error),
        }
        self._note(self.sketch_of(event.component, "start"), "retry", event.at, attributes)

    def _work_cancelled(self, event: events.WorkCancelled) -> None:
        sketch = None if event.component is None else self.sketch_of(event.component, "drain")
        self._first = self._first or _name(DrainTimeoutError)
        attributes = {"lifecycle.count": len(event.what)}
        self._note(sketch, "work cancelled", event.at, attributes)

    def _abandoned(self, event: events.HookAbandoned) -> None:
        sketch = self.sketch_of(event.component, event.hook)
        if event.hook == "check":  # no other event tells of it
            self._first = self._first or _name(StopError)
        attributes = {"lifecycle.component": event.component, "lifecycle.hook": event.hook}
        self._note(sketch, "abandoned", event.at, attributes)

    def _count(self, error: BaseException | None) -> None:
        """Something has failed, or has not."""
        self._failure = self._failure or error
        if error is not None:
            self._first = self._first or _type_of(error)

    # --- the spans -----------------------------------------------------------------------------

    def _begin(
        self,
        name: str,
        at: float,
        attributes: Attributes,
        parent: Sketch | None,
        links: Iterable[tuple[Sketch, Attributes]] = (),
    ) -> Sketch:
        attributes = {"lifecycle.system": self._system.name, **attributes}
        sketch = Sketch(name, self._clock.wall(at), attributes, parent, list(links))
        self._book.begin(sketch)
        return sketch

    def _end(self, sketch: Sketch, at: float) -> None:
        self._book.end(sketch, self._clock.wall(at))

    def _note(
        self, sketch: Sketch | None, name: str, at: float, attributes: Attributes | None = None
    ) -> None:
        """Say what has happened, in a span or, where that is over, in one of the roots.

        A thread sends what is over: whether it would still take this is chance.
        """
        for one in (sketch, self._start, self._shutdown):
            if one is not None and one.ended is None:
                one.note(name, self._clock.wall(at), attributes or {})
                return

    def _fail(self, sketch: Sketch, error: BaseException | None) -> None:
        """Say what went wrong, if anything did: its type, and no more unless that was asked for."""
        if error is None:
            return
        cause = error.__cause__ or error
        sketch.set(_error_type(error))
        if self._record_exceptions:
            sketch.fail(one_line(cause), cause)
        else:
            sketch.fail(type(cause).__name__)


def _error_type(error: BaseException) -> Mapping[str, str]:
    return {"error.type": _type_of(error)}


def _type_of(error: BaseException) -> str:
    return _name(type(error.__cause__ or error))


def _name(kind: type[BaseException]) -> str:
    where = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{where}{kind.__qualname__}"


def _waits_for(plan: Plan) -> dict[str, dict[str, list[tuple[str, str]]]]:
    """For the start and for the end, and each component: which others it waits for, and why."""
    nodes = plan.components
    start: dict[str, list[tuple[str, str]]] = {node.name: [] for node in nodes}
    end: dict[str, list[tuple[str, str]]] = {node.name: [] for node in nodes}
    for node in nodes:
        relations = {
            **dict.fromkeys(node.after, "after"),
            **dict.fromkeys(node.wants, "wants"),
            **dict.fromkeys(node.requires, "requires"),
        }
        for index in node.dependencies:
            start[node.name].append((nodes[index].name, relations[index]))
            end[nodes[index].name].append((node.name, relations[index]))
    return {"start": start, "end": end}
