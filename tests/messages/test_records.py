"""Events and errors as what they are: data."""

from __future__ import annotations

import copy
import pickle
import typing

import attrs
import pytest

from lifecycle import errors, events, report, settings

KINDS: tuple[type[events.Event], ...] = typing.get_args(events.Event)


def made(kind: type[events.Event], **other: object) -> events.Event:
    """An event, each of whose fields has its own name for a value."""
    fields: dict[str, typing.Any] = {field.name: field.name for field in attrs.fields(kind)}
    return kind(**{**fields, **other})


@pytest.mark.parametrize("kind", KINDS)
def test_equal_events_have_equal_fields(kind: type[events.Event]) -> None:
    """Events of one kind with the same fields are equal, and have one hash; others are not."""
    event, other = made(kind), made(kind, at=7.0)

    assert (event, hash(event)) == (made(kind), hash(made(kind)))
    assert event != other
    assert event != attrs.asdict(event, recurse=False)
    assert pickle.loads(pickle.dumps(event)) == event  # noqa: S301  our own


def test_events_of_different_kinds_are_different() -> None:
    """What happened is part of an event, also where the fields are the same."""
    assert made(events.ComponentDrained) != made(events.ComponentStopped)
    assert made(events.ComponentDraining) != made(events.ComponentStopping)


@pytest.mark.parametrize("kind", KINDS)
def test_events_do_not_change(kind: type[events.Event]) -> None:
    """Nobody who is told of an event can change it for others."""
    event = made(kind)

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.at = 7.0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_an_event_shows_its_fields() -> None:
    """The `repr` of an event is how it is made, the time first."""
    event = events.ComponentSkipped(at=1.5, component="web", because_of=None)

    assert "ComponentSkipped(at=1.5, component='web', because_of=None)" == repr(event)


def test_what_reports_and_settings_hold_is_compared_and_shown_by_its_fields() -> None:
    """Equal fields make equal reports, statuses, settings and limits, with equal hashes."""
    work, other = report.Work("a report", "web", 2.0), report.Work("a report", "web", 3.0)
    fast, slow = settings.Limits(stop=1), settings.Limits(stop=2)

    assert (work, hash(work)) == (copy.copy(work), hash(copy.copy(work)))
    assert work != other
    assert work != "a report"
    assert work != report.Abandoned("a report", "stop", "web")
    assert "Work(what='a report', component='web', age=2.0)" == repr(work)
    assert (fast, hash(fast)) == (settings.Limits(stop=1.0), hash(settings.Limits(stop=1.0)))
    assert fast != slow
    assert "Limits(start=None, drain=None, stop=1.0)" == repr(fast)
    # Mappings have no hash, and so are left out of it.
    limited = settings.Settings(limits={"web": fast})
    assert limited == settings.Settings(limits={"web": fast})
    assert limited != settings.Settings(limits={"web": slow})
    assert hash(limited) == hash(settings.Settings(limits={"web": slow}))
    assert hash(limited) != hash(settings.Settings(stop_timeout=3))


def test_an_error_shows_its_fields() -> None:
    """The `repr` of an error is how it is made; one without fields is shown as any exception."""
    assert "CycleError(path=('a', 'a'), relation='wants')" == repr(
        errors.CycleError(("a", "a"), "wants")
    )
    assert "StartError(component='web', reason='')" == repr(errors.StartError("web"))
    assert "LifecycleError('oh')" == repr(errors.LifecycleError("oh"))
