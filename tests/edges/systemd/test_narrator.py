"""What is said, and when: decided without a clock and without a socket."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from lifecycle import Settings
from lifecycle.integrations.systemd._message import Message
from lifecycle.integrations.systemd._narrator import Narrator
from lifecycle.states import Phase, State
from tests.edges.systemd.kit import component, status_of

if TYPE_CHECKING:
    from lifecycle.report import Status

RUNNING = status_of(Phase.RUNNING, component("web", State.READY))


def starting(time_left: float | None, since: float = 0.0) -> Status:
    """A start that waits for one hook."""
    return status_of(
        Phase.STARTING, component("database", State.STARTING, since, time_left=time_left)
    )


def closing(time_left: float) -> Status:
    """A shutdown that waits for one hook."""
    return status_of(Phase.CLOSING, component("web", State.STOPPING), time_left=time_left)


def extensions(narrator: Narrator, told: list[tuple[float, Status]]) -> list[tuple[float, float]]:
    """When an extension is told, and of how much."""
    return [
        (now, message.extend_timeout)
        for now, status in told
        for message in narrator.tell(status, now)
        if message.extend_timeout is not None
    ]


def texts(narrator: Narrator, told: list[tuple[float, Status]]) -> list[tuple[float, str]]:
    """When a text is told, and which."""
    return [
        (now, message.status)
        for now, status in told
        for message in narrator.tell(status, now)
        if message.status is not None
    ]


# --- milestones ----------------------------------------------------------------------------------


def test_ready_when_the_start_is_done() -> None:
    """Not before, and once: what is lost later is no news to systemd, and shows in the text."""
    narrator = Narrator(Settings())
    unavailable = status_of(
        Phase.RUNNING, component("web", State.READY, unavailable="no broker"), ready=False
    )

    said = [
        narrator.tell(status, now)
        for now, status in [(0.0, starting(9)), (1.0, RUNNING), (3.0, unavailable), (5.0, RUNNING)]
    ]

    assert [
        [Message(status="starting: 0 of 1 ready, waits for database", extend_timeout=10)],
        [Message(ready=True, status="running: 1 component")],
        [Message(status="not ready: web is unavailable")],
        [Message(status="running: 1 component")],
    ] == said


def test_stopping_from_the_first_moment() -> None:
    """With the request, while the phase is still the old one; and once."""
    narrator = Narrator(Settings())
    narrator.tell(RUNNING, 0.0)
    asked = status_of(Phase.RUNNING, reason="received SIGTERM", time_left=25.0)

    said = [narrator.tell(asked, 1.0), narrator.tell(closing(24), 2.0)]

    assert [
        [Message(stopping=True, status="shutting down, 25 s left", extend_timeout=10)],
        [Message(status="closing: waits for web, 24 s left")],
    ] == said


def test_a_run_that_was_over_before_it_was_seen() -> None:
    """Systemd must have heard that the start was done: otherwise a good end counts as a failure."""
    narrator = Narrator(Settings())
    narrator.tell(starting(60), 0.0)

    assert [
        Message(ready=True),
        Message(stopping=True, status="closing: waits for web, 25 s left", extend_timeout=10),
    ] == narrator.tell(closing(25), 0.0)


@pytest.mark.parametrize("started", [True, False])
def test_what_was_missed_is_said_at_the_end(*, started: bool) -> None:
    """A run in one instant, or a start that failed in one: nothing that is due is left out."""
    narrator = Narrator(Settings())
    over = status_of(Phase.ROLLING_BACK, started=started, error="OSError", time_left=25.0)
    kind = "failed" if started else "start failed"

    assert [
        *([Message(ready=True)] if started else []),
        Message(stopping=True, status=f"{kind}: OSError", extend_timeout=10),
    ] == narrator.conclude(over, 0.0)


# --- the text ------------------------------------------------------------------------------------


def test_at_most_one_text_a_second() -> None:
    """However often things change, the newest is told in the end."""
    narrator = Narrator(Settings())
    flapping = [
        status_of(Phase.RUNNING, component("web", State.READY, unavailable=reason))
        for reason in ("no broker", None, "no broker", None)
    ]
    told = [(0.0, RUNNING)]
    told += [(1.2 + number / 10, status) for number, status in enumerate(flapping)]

    assert [
        (0.0, "running: 1 component"),
        (1.2, "not ready: web is unavailable"),
    ] == texts(narrator, told)
    assert 0.7 == pytest.approx(narrator.look_again)
    assert [(2.2, "running: 1 component")] == texts(narrator, [(2.2, flapping[-1])])
    assert math.inf == narrator.look_again


def test_a_new_phase_is_told_at_once() -> None:
    """A person who watches is not kept waiting for what matters."""
    narrator = Narrator(Settings())
    told = [(0.0, status_of(Phase.PREFLIGHT)), (0.1, starting(60)), (0.2, RUNNING)]

    assert [0.0, 0.1, 0.2] == [now for now, _ in texts(narrator, told)]


def test_seconds_count_while_something_goes_on() -> None:
    """It is looked at once a second, and not at all while it just runs."""
    narrator = Narrator(Settings())

    narrator.tell(starting(60), 0.0)
    assert 1.0 == narrator.look_again
    narrator.tell(RUNNING, 0.5)
    assert math.inf == narrator.look_again
    narrator.tell(closing(25), 0.6)
    assert 1.0 == narrator.look_again


# --- extending timeouts --------------------------------------------------------------------------


def test_a_start_that_is_within_its_time() -> None:
    """It is extended by 10 s at a time, each half of that; by less when less is left."""
    told = [(float(now), starting(22.0 - now, now)) for now in range(24)]

    assert [
        (0.0, 10.0),
        (5.0, 10.0),
        (10.0, 10.0),
        (15.0, 8.0),
        (19.0, 4.0),
        (21.0, 2.0),
    ] == extensions(Narrator(Settings()), told)


def test_it_ends_soon_after_lifecycle_would_have_ended_it() -> None:
    """A hang is ended by lifecycle, which knows what it is, and 1 s later by systemd."""
    narrator, now, until = Narrator(Settings()), 0.0, 0.0
    while now < 60:
        for message in narrator.tell(starting(max(0.0, 22.3 - now)), now):
            assert message.extend_timeout is None or now <= until or now == 0
            until = max(until, now + (message.extend_timeout or 0))
        now += narrator.look_again

    assert 23.3 == pytest.approx(until)


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(starting(0.0), id="a start that is being cancelled"),
        pytest.param(starting(None), id="no hook runs"),
        pytest.param(RUNNING, id="running"),
        pytest.param(closing(0.0), id="the grace period is over"),
        pytest.param(status_of(Phase.PREFLIGHT), id="checks without a timeout"),
    ],
)
def test_no_extension(status: Status) -> None:
    """Where nothing goes on that lifecycle waits for: systemd's own timeout holds.

    While a service runs, an extension would move its RuntimeMaxSec.
    """
    assert [] == extensions(Narrator(Settings()), [(0.0, status), (60.0, status)])


def test_the_longest_of_what_starts() -> None:
    """A hook that hangs takes nothing from another that is within its time."""
    status = status_of(
        Phase.STARTING,
        component("a", State.STARTING, time_left=0.0),
        component("b", State.STARTING, time_left=4.0),
        component("c", State.STOPPING, time_left=9.0),
    )

    assert [(0.0, 5.0)] == extensions(Narrator(Settings()), [(0.0, status)])


def test_preflight_checks_have_the_time_that_they_say() -> None:
    """As far as any of them says so."""
    status = status_of(Phase.PREFLIGHT)
    told = [(float(now), status) for now in range(100, 125)]

    assert [
        (100.0, 10.0),
        (105.0, 10.0),
        (110.0, 6.0),
        (113.0, 3.0),
    ] == extensions(Narrator(Settings(), checks_end=115.0), told)


def test_a_shutdown_has_its_grace_period() -> None:
    """Whatever it waits for; and the end of a start belongs to another timeout than its begin."""
    narrator = Narrator(Settings())
    told = [(0.0, starting(60))]
    told += [(1.0 + now, closing(8.0 - now)) for now in range(9)]

    assert [
        (0.0, 10.0),
        (1.0, 9.0),
        (6.0, 4.0),
        (8.0, 2.0),
    ] == extensions(narrator, told)
