"""What ``systemctl status`` shows of a system."""

from __future__ import annotations

import pytest

from lifecycle import Settings
from lifecycle.integrations.systemd._words import describe, describe_end
from lifecycle.report import CheckResult, Status, Work
from lifecycle.states import Phase, State
from tests.edges.systemd.kit import component, status_of

SETTINGS = Settings(grace_period=25, drain_delay=5)


def check(name: str, *, ok: bool = False, liveness: bool = False) -> tuple[CheckResult, ...]:
    """What a check said that was asked; its message is a secret."""
    error = None if ok else "TimeoutError"
    return (CheckResult("x", name, ok, liveness, error, "password 1234"),)


def shows(text: str, status: Status) -> object:
    """A case: how a system stands, and what is to be shown."""
    return pytest.param(status, text, id=text)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        shows("starting: preflight checks run", status_of(Phase.PREFLIGHT)),
        shows(
            "starting: 1 of 3 ready, waits for database (12 s)",
            status_of(
                Phase.STARTING,
                component("config", State.READY, 13),
                component("database", State.STARTING, 12.7),
                component("web", State.PENDING, 13),
            ),
        ),
        shows(
            "starting: 0 of 5 ready, waits for b (7 s), e (2 s), a and 2 more",
            status_of(
                Phase.STARTING,
                component("a", State.STARTING, 0.5),
                component("b", State.STARTING, 7),
                component("c", State.STARTING, 0.4),
                component("d", State.STARTING, 0.3),
                component("e", State.STARTING, 2),
            ),
        ),
        shows("starting: 0 of 1 ready", status_of(Phase.STARTING, component("a", State.PENDING))),
        shows("running: 0 components", status_of(Phase.RUNNING)),
        shows("running: 1 component", status_of(Phase.RUNNING, component("a", State.READY))),
        shows(
            "running: 2 components",
            status_of(
                Phase.RUNNING,
                component("a", State.READY, checks=check("ping", ok=True)),
                component("b", State.READY),
            ),
        ),
        shows(
            "degraded: tracing (ConnectionError), exporter (skipped), "
            "check ping of cache (TimeoutError) and 1 more",
            status_of(
                Phase.RUNNING,
                component("tracing", State.FAILED, optional=True, error="ConnectionError"),
                component("exporter", State.SKIPPED, optional=True),
                component("cache", State.READY, optional=True, checks=check("ping", liveness=True)),
                component("mail", State.READY, optional=True, unavailable="password 1234"),
                component("database", State.READY),
            ),
        ),
        shows(
            "not ready: orders is unavailable, check of database (TimeoutError)",
            status_of(
                Phase.RUNNING,
                component("tracing", State.FAILED, optional=True, error="ConnectionError"),
                component("orders", State.READY, unavailable="password 1234"),
                component("database", State.READY, checks=check("check")),
            ),
        ),
        shows(
            "not alive: check alive of worker (TimeoutError)",
            status_of(
                Phase.RUNNING,
                component("orders", State.READY, unavailable="password 1234"),
                component("worker", State.READY, checks=check("alive", liveness=True)),
            ),
        ),
        shows(
            "shutting down, 25 s left",
            status_of(Phase.RUNNING, reason="deploy", time_left=25.0),
        ),
        shows(
            "shutting down: serves for 4 s more, 24 s left",
            status_of(Phase.DELAYING, time_left=23.2),
        ),
        shows(
            "draining: 3 in flight, waits for web (2 s), 12 s left",
            status_of(
                Phase.DRAINING,
                component("web", State.DRAINING, 2.9),
                component("database", State.READY),
                in_flight=(Work("GET /"), Work("GET /"), Work("order password 1234", "web")),
                time_left=11.2,
            ),
        ),
        shows(
            "draining: 1 in flight, 12 s left",
            status_of(Phase.DRAINING, in_flight=(Work("a report"),), time_left=12.0),
        ),
        shows(
            "closing: waits for database (3 s), 9 s left",
            status_of(
                Phase.CLOSING,
                component("web", State.STOPPED),
                component("database", State.STOPPING, 3),
                time_left=9.0,
            ),
        ),
        shows("closing, 9 s left", status_of(Phase.CLOSING, time_left=9.0)),
        shows(
            "rolling back: waits for database, 9 s left",
            status_of(Phase.ROLLING_BACK, component("database", State.STARTING), time_left=9.0),
        ),
        shows(
            "start failed: database (ConnectionError)",
            status_of(
                Phase.ROLLING_BACK,
                component("tracing", State.FAILED, optional=True, error="ConnectionError"),
                component("cache", State.STOPPING),
                component("database", State.FAILED, error="ConnectionError"),
                reason="password 1234",
                error="ConnectionError",
            ),
        ),
        shows(
            "start failed: PreflightError",
            status_of(Phase.ROLLING_BACK, reason="password 1234", error="PreflightError"),
        ),
        shows(
            "crashed: orders (ValueError); draining: 0 in flight, waits for web, 8 s left",
            status_of(
                Phase.DRAINING,
                component("orders", State.FAILED, error="ValueError"),
                component("web", State.DRAINING),
                reason="password 1234",
                error="ValueError",
                time_left=8.0,
            ),
        ),
        shows(
            "failed: KeyError; closing, 8 s left",
            status_of(Phase.CLOSING, reason="password 1234", error="KeyError", time_left=8.0),
        ),
    ],
)
def test_how_a_system_stands(status: Status, text: str) -> None:
    """One line, for each situation: what goes on, whom it waits for, what time is left.

    No secrets: of errors, reasons and work, names and types are told.
    """
    assert "1234" not in text
    assert text == describe(status, SETTINGS)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        shows("closed", status_of(Phase.CLOSING, component("a", State.STOPPED))),
        shows(
            "closed, with errors: web (DrainTimeoutError)",
            status_of(
                Phase.CLOSING,
                component("web", State.STOPPED, error="DrainTimeoutError"),
                component("tracing", State.FAILED, optional=True, error="ConnectionError"),
            ),
        ),
        shows(
            "crashed: orders (ValueError)",
            status_of(
                Phase.CLOSING,
                component("orders", State.FAILED, error="ValueError"),
                error="ValueError",
            ),
        ),
        shows(
            "start failed: database (OSError)",
            status_of(
                Phase.ROLLING_BACK,
                component("database", State.FAILED, error="OSError"),
                error="OSError",
            ),
        ),
    ],
)
def test_how_it_went(status: Status, text: str) -> None:
    """The last line stays for who looks at a unit that has failed: the cause, and nothing else."""
    assert text == describe_end(status)
