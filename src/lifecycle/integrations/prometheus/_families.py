"""All metrics, and how each is read. The names follow the conventions of Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from lifecycle import events
from lifecycle.states import Phase, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lifecycle.integrations.prometheus._runs import View

    Values: TypeAlias = Iterable[tuple[tuple[str, ...], float]]
    """The values of the labels, and the number."""


@attrs.frozen
class Gauge:
    """A number that is read at each scrape; its first label is always the system."""

    name: str
    help: str
    labels: tuple[str, ...]
    values: Callable[[View], Values]


@attrs.frozen
class Counter:
    """How often something has happened; its first label is always the system."""

    name: str
    help: str
    labels: tuple[str, ...]
    event: type[events.Event]
    of: Callable[[Any], tuple[str, ...]]
    """The values of the labels, by the event."""
    by: Callable[[Any], int] = lambda _: 1
    """How much one event counts."""


def _phase(view: View) -> Values:
    return [((str(phase),), phase is view.status.phase) for phase in Phase]


def _ready(view: View) -> Values:
    return [((), view.status.ready)]


def _state(view: View) -> Values:
    for name, component in view.status.components.items():
        for state in State:
            yield (name, str(state)), state is component.state


def _available(view: View) -> Values:
    for name, component in view.status.components.items():
        yield (name,), component.unavailable is None


def _durations(view: View) -> Values:
    return view.times.items()


def _ages(view: View) -> dict[str, list[float]]:
    """How long everything has been in flight, for each component, and for the system itself."""
    ages: dict[str, list[float]] = {name: [] for name in ("", *view.status.components)}
    for work in view.status.in_flight:
        ages[work.component or ""].append(work.age)
    return ages


def _in_flight(view: View) -> Values:
    return [((name,), len(ages)) for name, ages in _ages(view).items()]


def _oldest(view: View) -> Values:
    return [((name,), max(ages, default=0.0)) for name, ages in _ages(view).items()]


def _grace_period(view: View) -> Values:
    return [((), view.grace_period)]


def _grace_left(view: View) -> Values:
    return [] if view.status.time_left is None else [((), view.status.time_left)]


def _checks(view: View, number: str) -> Values:
    for name, component in view.status.components.items():
        count: dict[str, int] = {}
        for check in component.checks:
            # Several checks of a component may go by the same name.
            count[check.name] = nth = count.get(check.name, 0) + 1
            label = check.name if nth == 1 else f"{check.name}#{nth}"
            yield (name, label), getattr(check, number)


GAUGES = (
    Gauge("phase", "The phase of the system: 1 for the one it is in.", ("phase",), _phase),
    Gauge("ready", "Whether new work should be sent here.", (), _ready),
    Gauge(
        "component_state",
        "The state of each component: 1 for the one it is in.",
        ("component", "state"),
        _state,
    ),
    Gauge(
        "component_available",
        "Whether the component takes the service out of rotation: 0.",
        ("component",),
        _available,
    ),
    Gauge(
        "hook_duration_seconds",
        "How long the start, drain and stop of each component took.",
        ("component", "hook"),
        _durations,
    ),
    Gauge(
        "in_flight",
        "Work in flight, by component; what has none is the system's own.",
        ("component",),
        _in_flight,
    ),
    Gauge(
        "in_flight_oldest_age_seconds",
        "How long the oldest work has been in flight.",
        ("component",),
        _oldest,
    ),
    Gauge(
        "grace_period_seconds",
        "The time from the request to shut down to the end.",
        (),
        _grace_period,
    ),
    Gauge(
        "grace_left_seconds",
        "What is left of the grace period, once it runs.",
        (),
        _grace_left,
    ),
    Gauge(
        "check_ok",
        "Whether the check passed when it was last asked.",
        ("component", "check"),
        lambda view: _checks(view, "ok"),
    ),
    Gauge(
        "check_duration_seconds",
        "How long it took to answer.",
        ("component", "check"),
        lambda view: _checks(view, "duration"),
    ),
    Gauge(
        "check_age_seconds",
        "How long ago that was.",
        ("component", "check"),
        lambda view: _checks(view, "age"),
    ),
)

COUNTERS = (
    Counter(
        "shutdowns_total",
        "Systems that have ended, by how, and by what had set it off.",
        ("outcome", "trigger"),
        events.Closed,
        lambda event: (str(event.outcome), str(event.trigger)),
    ),
    Counter(
        "start_retries_total",
        "Attempts to start that failed and were not the last.",
        ("component",),
        events.ComponentRetrying,
        lambda event: (event.component,),
    ),
    Counter(
        "crashes_total",
        "Components that ended by themselves while they were to run.",
        ("component",),
        events.ComponentCrashed,
        lambda event: (event.component,),
    ),
    Counter(
        "work_cancelled_total",
        "Work in flight that was cut off.",
        ("component",),
        events.WorkCancelled,
        lambda event: (event.component or "",),
        lambda event: len(event.what),
    ),
    Counter(
        "hooks_abandoned_total",
        "Hooks that did not end when cancelled, and were left behind.",
        ("component", "hook"),
        events.HookAbandoned,
        lambda event: (event.component, event.hook),
    ),
)
