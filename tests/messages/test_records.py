"""Events and errors as what they are: data."""

from __future__ import annotations

import pickle
import typing

import attrs
import pytest

from lifecycle import errors, events

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


def test_an_error_shows_its_fields() -> None:
    """The `repr` of an error is how it is made; one without fields is shown as any exception."""
    assert "CycleError(path=('a', 'b', 'a'))" == repr(errors.CycleError(("a", "b", "a")))
    assert "StartError(component='web', reason='')" == repr(errors.StartError("web"))
    assert "LifecycleError('oh')" == repr(errors.LifecycleError("oh"))
